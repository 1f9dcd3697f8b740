//! libFuzzer on one parser of `treecast-fuzz`, named by TREECAST_FUZZ_PARSER; its own options are those of libFuzzer.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use treecast_fuzz::{parser, Parser};

static PARSER: LazyLock<Parser> = LazyLock::new(|| {
    let name = std::env::var("TREECAST_FUZZ_PARSER").unwrap_or_default();
    parser(&name).unwrap_or_else(|| panic!("TREECAST_FUZZ_PARSER: no parser is called {name:?}"))
});

fuzz_target!(|bytes: &[u8]| PARSER(bytes));
