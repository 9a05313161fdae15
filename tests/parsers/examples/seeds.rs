//! Writes the sample of each property to `FOLDER/NAME/sample`: where a fuzzer starts.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("usage: seeds FOLDER"));
    for property in &parsers::ALL {
        let corpus = folder.join(property.name);
        std::fs::create_dir_all(&corpus)?;
        std::fs::write(corpus.join("sample"), (property.sample)())?;
        println!("{}", property.name);
    }
    Ok(())
}
