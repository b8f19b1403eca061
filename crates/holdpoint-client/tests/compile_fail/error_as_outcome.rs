//! An error does not mean that nothing happened, unless it says exactly that.
use holdpoint_client::Outcome;

fn act(result: Result<(), std::io::Error>) -> Outcome {
    result.into()
}

fn main() {
    let _ = act;
}
