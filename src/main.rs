//! Arguments, tracing, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    git_pertask::commands::main(std::env::args_os())
}
