//! Which facts the context of an action has.

use crate::problem::File;
use crate::schema::{Attribute, Record, Type};
use crate::suggest::did_you_mean;
use crate::surface::ContextFact;
use crate::template::Params;

/// The type that `fact` has in every context. `params` has the type of the surface.
fn type_of(fact: ContextFact, params: &Record) -> Type {
    let names = || Type::Set(Box::new(Type::String));
    match fact {
        ContextFact::Now => Type::Datetime,
        ContextFact::Caller | ContextFact::Surface | ContextFact::Action => Type::String,
        ContextFact::Windows | ContextFact::Evidence => names(),
        ContextFact::Approvals => {
            let quorums = Attribute {
                ty: names(),
                required: true,
            };
            Type::Record(Record::from([("quorums".to_owned(), quorums)]))
        }
        ContextFact::Params => Type::Record(params.clone()),
    }
}

const FACTS: [(&str, ContextFact); 8] = [
    ("now", ContextFact::Now),
    ("windows", ContextFact::Windows),
    ("caller", ContextFact::Caller),
    ("surface", ContextFact::Surface),
    ("action", ContextFact::Action),
    ("approvals", ContextFact::Approvals),
    ("evidence", ContextFact::Evidence),
    ("params", ContextFact::Params),
];

/// Checks the context that the schema declares for `action`, and says which facts it wants.
pub(super) fn check(
    file: &File<'_>,
    line: usize,
    action: &str,
    context: &Record,
    params: Params<'_>,
) -> Option<Vec<ContextFact>> {
    let mut facts = Vec::new();
    for (name, attribute) in context {
        let Some((_, fact)) = FACTS.iter().find(|(known, _)| known == name) else {
            let hint = did_you_mean(name, FACTS.iter().map(|(known, _)| *known));
            let why = format!(
                "the context of action `{action}` wants `{name}`, which the gate does not give{hint}"
            );
            file.error(line, why);
            return None;
        };
        let given = type_of(*fact, params.record);
        if attribute.ty != given || !attribute.required {
            let mark = if attribute.required {
                ""
            } else {
                " (optional)"
            };
            let (wanted, given) = (attribute.ty.show(), given.show());
            let why = format!(
                "the context of action `{action}` has `{name}: {wanted}`{mark}, but the gate gives a \
                 required `{given}`"
            );
            file.error(line, why);
            return None;
        }
        facts.push(*fact);
    }
    if !params.record.is_empty() && !facts.contains(&ContextFact::Params) {
        let why = format!(
            "the context of action `{action}` lacks `params: {}`, so policies could not see the parameters",
            params.type_name
        );
        file.error(line, why);
        return None;
    }
    Some(facts)
}
