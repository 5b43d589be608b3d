//! Help and error texts, word for word. `TRYCMD=overwrite cargo test -p mentor-cli` writes them anew.

#[test]
fn help_and_errors_read_as_they_are_written_down() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}
