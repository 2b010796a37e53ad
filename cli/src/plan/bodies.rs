//! Takes the input apart: JSON documents after each other, over several lines or one a line.

use serde::de::IgnoredAny;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// One webhook body, byte for byte as it stood there.
pub(crate) type Body = Vec<u8>;

/// All bodies in order, and whether all could be read. What could not is told on standard error.
pub(crate) fn read(files: &[PathBuf]) -> (Vec<Body>, bool) {
    let standard_input = [PathBuf::from("-")];
    let mut bodies = Vec::new();
    let mut complete = true;
    for file in if files.is_empty() { &standard_input[..] } else { files } {
        let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
        match contents(file) {
            Ok(bytes) => {
                let (found, problems) = split(&bytes);
                complete &= problems.is_empty();
                for (line, why) in problems {
                    anstream::eprintln!("{name}:{line}: not JSON: {why}");
                }
                bodies.extend(found);
            }
            Err(error) => {
                complete = false;
                anstream::eprintln!("{name} cannot be read: {error}");
            }
        }
    }
    (bodies, complete)
}

fn contents(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bodies, and the lines at which something is no JSON. That is a body all the same: a vendor could send it.
fn split(bytes: &[u8]) -> (Vec<Body>, Vec<(usize, String)>) {
    let mut bodies = Vec::new();
    let mut problems = Vec::new();
    let mut at = 0;
    while let Some(begins) = bytes[at..].iter().position(|byte| !byte.is_ascii_whitespace()) {
        at += begins;
        let rest = &bytes[at..];
        let mut documents = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        let length = match documents.next() {
            Some(Ok(_)) => documents.byte_offset(),
            Some(Err(error)) => {
                let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + error.line();
                // The text may quote the body; where it stands says enough.
                problems.push((line, format!("column {}", error.column())));
                next_document(rest)
            }
            None => rest.len(),
        };
        bodies.push(rest[..length].trim_ascii_end().to_vec());
        at += length;
    }
    (bodies, problems)
}

/// Where the next document may begin after one that cannot be read: at a line that starts with a bracket.
fn next_document(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|two| two[0] == b'\n' && matches!(two[1], b'{' | b'[')).map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_over_lines_or_several_on_one() {
        for (text, expected) in [
            ("", &[][..]),
            (" \n", &[]),
            ("{\n  \"a\": 1\n}\n", &["{\n  \"a\": 1\n}"]),
            ("{\"a\":1}\n\n[2]\n\"\\ud800\"", &["{\"a\":1}", "[2]", "\"\\ud800\""]),
            ("{\"a\":1}{\"b\":2}", &["{\"a\":1}", "{\"b\":2}"]),
        ] {
            let (bodies, problems) = split(text.as_bytes());
            assert_eq!(bodies, expected.iter().map(|body| body.as_bytes().to_vec()).collect::<Vec<_>>(), "{text}");
            assert_eq!(problems, []);
        }
    }

    #[test]
    fn what_is_no_json_costs_no_neighbour_and_is_named_by_its_line() {
        let (bodies, problems) = split(b"{\"a\":1}\n{\"b\":\n{\"c\":3}\n{\n  \"d\": x,\n  \"e\": 5\n}\n[6]\n");
        assert_eq!(bodies[0], b"{\"a\":1}");
        assert_eq!(bodies[bodies.len() - 1], b"[6]");
        assert_eq!(problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5]);
    }
}
