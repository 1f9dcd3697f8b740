//! Writes the valid inputs into the corpus: `cargo run --release -p treecast-fuzz --example write_corpus`.

use std::fs;
use std::io;
use std::path::Path;

use treecast_fuzz::valid;
use treecast_fuzz::valid_inputs::link_secrets;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (parser, inputs) in valid() {
        fs::create_dir_all(corpus.join(parser))?;
        for (name, bytes) in inputs {
            fs::write(corpus.join(parser).join(name), bytes)?;
        }
    }
    // Random bytes: another value is news only where it has another length.
    for (name, bytes) in link_secrets() {
        let path = corpus.join("link_secret").join(name);
        if fs::read(&path).map_or(0, |kept| kept.len()) != bytes.len() {
            fs::write(path, bytes)?;
        }
    }
    Ok(())
}
