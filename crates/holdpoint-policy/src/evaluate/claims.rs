//! The bounded operations that a request claims.

use holdpoint_receipt::{Json, Reason};

use super::{Question, Silence};
use crate::surface::{Bound, Claim};

/// The most bytes of a key (SPEC section 8), for messages.
const KEY_BYTES_MAX: usize = 512;

/// Renders the bounds of the surface, in the order of their names.
pub(super) fn of(question: &Question<'_>) -> Result<Vec<Claim>, Silence> {
    let bounds = question.surface.bounds.iter();
    bounds.map(|bound| claim(question, bound)).collect()
}

fn claim(question: &Question<'_>, bound: &Bound) -> Result<Claim, Silence> {
    let silence = |why: String| Silence::new(Reason::InvalidParams, why);
    let name = &bound.name;
    let key = bound.key.render_key(question.request);
    let key = key.ok_or_else(|| {
        silence(format!(
            "the key of bound `{name}` would be empty or longer than {KEY_BYTES_MAX} bytes"
        ))
    })?;
    let amount = match &bound.field {
        None => 1,
        Some(field) => {
            let param = field.strip_prefix("params.").unwrap_or(field);
            let amount = question.request.params.get(param).and_then(Json::as_int);
            let amount = amount
                .ok_or_else(|| silence(format!("the amount of bound `{name}` is no integer")))?;
            u64::try_from(amount)
                .map_err(|_| silence(format!("the amount of bound `{name}` is negative")))?
        }
    };
    Ok(Claim {
        bound: name.clone(),
        kind: bound.kind,
        key,
        amount,
    })
}
