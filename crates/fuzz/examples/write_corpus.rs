//! Writes the valid inputs into the corpus: `cargo run --release -p treecast-fuzz --example write_corpus`.

use std::fs;
use std::io;
use std::path::Path;

use treecast_fuzz::valid_inputs::{link_secrets, refusals, session_bodies, tree_bodies};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let inputs = [
        ("session_body", session_bodies()),
        ("tree_body", tree_bodies()),
        ("handshake", refusals()),
        ("link_secret", link_secrets()),
    ];
    for (parser, inputs) in inputs {
        fs::create_dir_all(corpus.join(parser))?;
        for (name, bytes) in inputs {
            fs::write(corpus.join(parser).join(name), bytes)?;
        }
    }
    Ok(())
}
