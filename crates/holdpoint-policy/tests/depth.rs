//! The deepest expression that loads also evaluates, on the stack of an ordinary thread.
//!
//! What Cedar does when the stack runs out depends on the machine. So nothing that loads may come
//! near it, and what is deeper is refused before Cedar sees it.
#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share fail like tests"
)]

use std::fmt::Write as _;
use std::thread::Builder;

use holdpoint_policy::{Bundle, Evaluation, Facts, Input, Policy, Verdict, starter};
use holdpoint_receipt::request::Params;
use holdpoint_receipt::{Caller, Json, Name, Request};

/// Three quarters of the stack of a thread that asks for no other: the rest is for its callers.
const STACK_BYTES: usize = 3 * 512 * 1024;

/// A name, a number of repetitions, and the expression with so many.
type Shape = (&'static str, usize, fn(usize) -> String);

/// Expressions that are true, with the largest number of repetitions that loads.
const SHAPES: [Shape; 8] = [
    ("brackets", 22, |depth| {
        format!("{}true{}", "(".repeat(depth), ")".repeat(depth))
    }),
    ("and", 19, |depth| {
        format!(
            "true{}",
            " && context.params == context.params".repeat(depth)
        )
    }),
    ("or", 18, |depth| {
        format!(
            "false{} || true",
            " || context.params != context.params".repeat(depth)
        )
    }),
    ("else", 19, |depth| {
        format!(
            "{}true",
            "if context.params != context.params then false else ".repeat(depth)
        )
    }),
    ("then", 9, |depth| {
        let opened = "if (context.params == context.params) then (".repeat(depth);
        format!("{opened}true{}", ") else false".repeat(depth))
    }),
    ("sums", 20, |depth| {
        format!("0{} == 0", " + 0".repeat(depth))
    }),
    ("records", 11, |depth| {
        format!(
            "{}true{}{}",
            "{a: ".repeat(depth),
            "}".repeat(depth),
            ".a".repeat(depth)
        )
    }),
    ("sets", 20, |depth| {
        format!(
            "{}1{} == {}1{}",
            "[".repeat(depth),
            "]".repeat(depth),
            "[".repeat(depth),
            "]".repeat(depth)
        )
    }),
];

fn bundle(expression: &str) -> Bundle {
    let files = starter::FILES.iter().map(|(path, text)| {
        let mut text = (*text).to_owned();
        if *path == "policies/demo.cedar" {
            let _ = write!(
                text,
                "@id(\"deep\") @reason(\"deep\") permit (principal, action == Action::\"demo.echo\", \
                 resource) when {{ {expression} }};"
            );
        }
        (*path, text)
    });
    Bundle::new(files).unwrap()
}

fn echo() -> Request {
    Request {
        namespace: Name::new("default").unwrap(),
        caller: Caller::new("loopback:dev").unwrap(),
        actor: None,
        surface: Name::new("demo.echo").unwrap(),
        action: Name::new("echo").unwrap(),
        params: Params::from_json(Json::object([("message", Json::str("x"))])).unwrap(),
        session: None,
        step: None,
        prerequisites: Vec::new(),
    }
}

fn on_a_small_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn deepest_expression_that_loads_evaluates_without_an_error() {
    for (name, deepest, shape) in SHAPES {
        assert!(
            Policy::load(&bundle(&shape(deepest + 1))).is_err(),
            "{name}: not the deepest"
        );
        let evaluation = on_a_small_stack(move || {
            let policy = Policy::load(&bundle(&shape(deepest))).expect(name);
            let (request, facts) = (echo(), Facts::default());
            policy.evaluate(Input {
                request: &request,
                now_ms: 0,
                facts: &facts,
            })
        });
        let Evaluation::Decided(decided) = evaluation else {
            panic!("{name}: {evaluation:?}");
        };
        let Verdict::Permit { policies } = decided.verdict else {
            panic!("{name}: denied")
        };
        assert!(
            policies.iter().any(|id| id.as_str() == "deep"),
            "{name}: not permitted by it"
        );
    }
}

#[test]
fn much_deeper_expression_is_refused_before_cedar_sees_it() {
    for (name, _, shape) in SHAPES {
        for depth in [101, 1_000, 5_000] {
            let errors =
                on_a_small_stack(move || Policy::load(&bundle(&shape(depth))).unwrap_err());
            assert!(
                errors[0].message.contains("deeper than 24 levels"),
                "{name}: {errors:?}"
            );
        }
    }
}
