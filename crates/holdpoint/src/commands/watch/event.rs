//! A statement as an event of `CloudEvents` 1.0 (JSON format).

use holdpoint_client::Watched;
use holdpoint_receipt::{Body, Name, Statement};
use serde_json::{Value, json};

/// Before the kind of the statement, in `type`.
const TYPE_PREFIX: &str = "holdpoint.statement.";

/// The event. `source` and `id` together name the leaf, so a consumer can drop what it has.
pub(super) fn of(watched: &Watched) -> Result<Value, serde_json::Error> {
    let statement = &watched.statement;
    let mut event = json!({
        "specversion": "1.0",
        "id": statement.place.leaf_index().to_string(),
        "source": format!("urn:holdpoint:{}:{}", statement.authority, statement.namespace),
        "type": format!("{TYPE_PREFIX}{}", statement.body.kind()),
        "time": statement.issued_at.to_string(),
        "datacontenttype": "application/json",
        "receipthash": watched.hash.to_string(),
        "data": serde_json::from_str::<Value>(&statement.to_canonical())?,
    });
    if let (Some(subject), Some(members)) = (subject(statement), event.as_object_mut()) {
        members.insert("subject".to_owned(), Value::String(subject));
    }
    Ok(event)
}

/// The permit that it is about, or else the surface.
fn subject(statement: &Statement) -> Option<String> {
    let permit = statement.body.permit_id().map(|permit| permit.to_string());
    permit.or_else(|| surface(&statement.body).map(Name::to_string))
}

/// The surface of a statement that is about no permit.
fn surface(body: &Body) -> Option<&Name> {
    match body {
        Body::Decision(decision) => Some(&decision.surface),
        Body::Approved(approval) | Body::ApprovalRevoked(approval) => Some(&approval.surface),
        Body::Frozen(frozen) => frozen.surface.as_ref(),
        _ => None,
    }
}
