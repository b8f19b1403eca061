//! `[[witness]]` of the cluster file: programs apart from the cluster that sign its heads.

use std::collections::BTreeSet;
use std::ops::Range;

use holdpoint_receipt::Name;
use holdpoint_receipt::keys::{Algorithm, VerifierKey};
use http::Uri;
use serde::Deserialize;
use toml::Spanned;

use super::ConfigError;
use super::cluster_file::Place;
use crate::limits::WITNESSES_MAX;

/// One witness of the cluster file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessEntry {
    /// What the status calls it.
    pub name: Name,
    /// Where it answers: `http://host:port`, with or without a path.
    pub url: Uri,
    /// Its key, as it publishes it.
    pub verifier: VerifierKey,
}

/// One `[[witness]]`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Witness {
    name: Spanned<String>,
    url: Spanned<String>,
    vkey: Spanned<String>,
}

/// Reads all of them.
pub(super) fn read(
    at: &Place<'_>,
    written: &[Spanned<Witness>],
) -> Result<Vec<WitnessEntry>, ConfigError> {
    if let Some(witness) = written.get(WITNESSES_MAX) {
        let count = written.len();
        let message = format!("{count} witnesses are listed, at most {WITNESSES_MAX} are accepted");
        return Err(at.invalid(witness.span(), message));
    }
    let (mut entries, mut names, mut keys) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for witness in written {
        let witness = witness.get_ref();
        let entry = entry(at, witness)?;
        if !names.insert(entry.name.clone()) {
            let message = format!("name `{}` is that of another witness", entry.name);
            return Err(at.invalid(witness.name.span(), message));
        }
        // Two witnesses under one key are one.
        if !keys.insert(*entry.verifier.key().as_bytes()) {
            let message = "vkey is that of another witness";
            return Err(at.invalid(witness.vkey.span(), message));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(at: &Place<'_>, witness: &Witness) -> Result<WitnessEntry, ConfigError> {
    let name = Name::new(witness.name.get_ref().as_str())
        .map_err(|error| at.invalid(witness.name.span(), format!("name: {error}")))?;
    let wrong = |span: Range<usize>, problem: String| at.invalid(span, problem);
    let url = witness.url.get_ref();
    let uri = url.parse::<Uri>().ok().filter(|uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some() && uri.query().is_none()
    });
    let uri = uri.ok_or_else(|| {
        let message =
            format!("url `{url}` is not an address such as http://127.0.0.1:7600 (http only)");
        wrong(witness.url.span(), message)
    })?;
    let vkey: VerifierKey = witness
        .vkey
        .get_ref()
        .parse()
        .map_err(|error| wrong(witness.vkey.span(), format!("vkey: {error}")))?;
    if vkey.algorithm() != Algorithm::CosignatureV1 {
        let message = "vkey is not one that a witness signs with; it prints its own when it starts";
        return Err(wrong(witness.vkey.span(), message.to_owned()));
    }
    Ok(WitnessEntry {
        name,
        url: uri,
        verifier: vkey,
    })
}
