//! Which cluster is meant: flag, environment, `./.holdpoint/client.toml`, user configuration.
//!
//! Looks in the current folder and in the user's configuration, and never in the folders above: a
//! command must not reach another cluster because of where it was started.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::exit::Exit;
use crate::output::Failure;

/// Where `holdpoint dev` keeps everything, and where a configuration is looked for first.
pub(crate) const FOLDER: &str = ".holdpoint";
/// The configuration inside it.
const FILE: &str = "client.toml";

/// What a `client.toml` may say. Everything but the endpoints can be left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientFile {
    endpoints: Vec<String>,
    namespace: Option<String>,
    caller: Option<String>,
    /// A relative path counts from the file's folder, like the next two.
    keys: Option<PathBuf>,
    /// A trust bundle in the place of `keys`, and the roots that it is verified against.
    trust: Option<PathBuf>,
    roots: Option<PathBuf>,
}

/// The cluster that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) endpoints: Vec<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) caller: Option<String>,
    pub(crate) keys: Option<PathBuf>,
    /// A trust bundle in their place, and its roots.
    pub(crate) trust: Option<(PathBuf, PathBuf)>,
    /// Where receipts are kept.
    pub(crate) receipts: PathBuf,
}

/// Finds it. `given` are the endpoints of flag or environment; with them, no file is read.
pub(crate) fn discover(given: &[String]) -> Result<Found, Failure> {
    let user = User {
        config: user_folder("XDG_CONFIG_HOME", ".config"),
        data: user_folder("XDG_DATA_HOME", ".local/share"),
    };
    discover_in(Path::new(""), &user, given)
}

/// The user's own folders; none where the environment does not say.
struct User {
    config: Option<PathBuf>,
    data: Option<PathBuf>,
}

fn discover_in(here: &Path, user: &User, given: &[String]) -> Result<Found, Failure> {
    let local = here.join(FOLDER);
    let shelf = user
        .data
        .clone()
        .unwrap_or_else(|| local.clone())
        .join("receipts");
    if !given.is_empty() {
        let endpoints = given.to_vec();
        return Ok(Found {
            endpoints,
            namespace: None,
            caller: None,
            keys: None,
            trust: None,
            receipts: shelf,
        });
    }
    if let Some(found) = read(&local.join(FILE), local.join("receipts"))? {
        return Ok(found);
    }
    if let Some(folder) = &user.config
        && let Some(found) = read(&folder.join(FILE), shelf)?
    {
        return Ok(found);
    }
    Err(Failure::says(
        Exit::Unreachable,
        "no cluster is configured: start `holdpoint dev` in this folder, give --endpoint HOST:PORT, or \
         set HOLDPOINT_ENDPOINTS (nothing was asked)",
    ))
}

fn read(file: &Path, receipts: PathBuf) -> Result<Option<Found>, Failure> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(crate::inputs::unreadable(file, &error)),
    };
    let wrong = |what: &str| {
        Failure::says(
            Exit::Failure,
            format!("`{}` is not a client configuration: {what}", file.display()),
        )
    };
    let content: ClientFile = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text.bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
                .saturating_add(1)
        });
        wrong(&format!("line {line}: {}", error.message()))
    })?;
    if content.endpoints.is_empty() {
        return Err(wrong("`endpoints` is empty; name at least one `host:port`"));
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let trust = match (content.trust, content.roots) {
        (None, None) => None,
        (Some(_), Some(_)) if content.keys.is_some() => {
            return Err(wrong(
                "`trust` takes the place of `keys`; leave one of them out",
            ));
        }
        (Some(trust), Some(roots)) => Some((folder.join(trust), folder.join(roots))),
        (Some(_), None) | (None, Some(_)) => {
            return Err(wrong("`trust` and `roots` go together"));
        }
    };
    Ok(Some(Found {
        endpoints: content.endpoints,
        namespace: content.namespace,
        caller: content.caller,
        keys: content.keys.map(|keys| folder.join(keys)),
        trust,
        receipts,
    }))
}

/// `$NAME/holdpoint`, or the same below the home folder.
fn user_folder(name: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = set(name).or_else(|| set("HOME").map(|home| home.join(below_home)))?;
    Some(folder.join("holdpoint"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
            }
        }

        fn write(&self, file: &str, text: &str) {
            let path = self.folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn discover(&self, given: &[&str]) -> Result<Found, Failure> {
            let root = self.folder.path();
            let user = User {
                config: Some(root.join("config")),
                data: Some(root.join("data")),
            };
            let given: Vec<String> = given.iter().map(|one| (*one).to_owned()).collect();
            discover_in(root, &user, &given)
        }
    }

    #[test]
    fn endpoint_that_is_given_beats_every_file_and_takes_nothing_from_it() {
        let place = Place::new();
        place.write(
            ".holdpoint/client.toml",
            "endpoints = [\"a:1\"]\nkeys = \"keys.json\"\n",
        );
        let found = place.discover(&["b:2"]).unwrap();
        assert_eq!(
            (found.endpoints, found.keys),
            (vec!["b:2".to_owned()], None)
        );
        assert!(found.receipts.ends_with("data/receipts"));
    }

    #[test]
    fn folder_beats_the_user_and_its_keys_are_beside_it() {
        let place = Place::new();
        place.write("config/client.toml", "endpoints = [\"u:1\"]\n");
        assert_eq!(place.discover(&[]).unwrap().endpoints, ["u:1"]);
        place.write(
            ".holdpoint/client.toml",
            "endpoints = [\"a:1\"]\nkeys = \"keys.json\"\n",
        );
        let found = place.discover(&[]).unwrap();
        assert_eq!(found.endpoints, ["a:1"]);
        assert!(found.keys.unwrap().ends_with(".holdpoint/keys.json"));
        assert!(found.receipts.ends_with(".holdpoint/receipts"));
    }

    #[test]
    fn nothing_configured_is_unreachable_and_says_what_to_do() {
        let error = Place::new().discover(&[]).unwrap_err();
        assert_eq!(error.exit(), Exit::Unreachable);
        assert!(error.message().contains("holdpoint dev"));
    }

    #[test]
    fn configuration_with_an_unknown_word_is_refused_with_its_line() {
        let place = Place::new();
        place.write(
            ".holdpoint/client.toml",
            "endpoints = [\"a:1\"]\nendpoint = \"b:2\"\n",
        );
        let error = place.discover(&[]).unwrap_err();
        assert!(error.message().contains("line 2"), "{}", error.message());
        place.write(".holdpoint/client.toml", "endpoints = []\n");
        assert!(place.discover(&[]).unwrap_err().message().contains("empty"));
    }

    #[test]
    fn trust_bundle_goes_with_its_roots_and_takes_the_place_of_keys() {
        let place = Place::new();
        let with = |more: &str| {
            let text = format!("endpoints = [\"a:1\"]\n{more}");
            place.write(".holdpoint/client.toml", &text);
            place.discover(&[])
        };
        let found = with("trust = \"t.json\"\nroots = \"roots\"\n").unwrap();
        let (trust, roots) = found.trust.unwrap();
        assert!(trust.ends_with(".holdpoint/t.json") && roots.ends_with(".holdpoint/roots"));
        for more in [
            "trust = \"t.json\"\n",
            "roots = \"roots\"\n",
            "trust = \"t\"\nroots = \"r\"\nkeys = \"k\"\n",
        ] {
            assert!(with(more).is_err(), "{more}");
        }
    }
}
