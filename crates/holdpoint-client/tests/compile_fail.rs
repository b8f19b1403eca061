//! What the types forbid, shown by programs that do not compile.

#[test]
fn misuse_of_a_permit_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
