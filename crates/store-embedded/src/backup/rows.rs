//! A file of rows: magic, then for each row the length of its key, that of its value, and both.

use std::io::{self, BufRead, Read as _, Write};

/// What the names of these files end with.
pub(crate) const SUFFIX: &str = ".rows";
pub(crate) const MAGIC: &[u8; 8] = b"ILROWS1\n";
/// More than the engine takes.
const LONGEST_KEY: u32 = 1 << 16;
const LONGEST_VALUE: u32 = 1 << 28;

/// Appends a row.
pub(crate) fn write(out: &mut impl Write, key: &[u8], value: &[u8]) -> io::Result<()> {
    for part in [key, value] {
        let len = u32::try_from(part.len()).map_err(io::Error::other)?;
        out.write_all(&len.to_be_bytes())?;
    }
    out.write_all(key)?;
    out.write_all(value)
}

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// Reads what stands before the first row.
pub(crate) fn begin(input: &mut impl BufRead) -> io::Result<()> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic == *MAGIC { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Reads a row; `None` at the end. A length that lies reserves nothing.
pub(crate) fn next(input: &mut impl BufRead) -> io::Result<Option<Row>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let key = length(input, LONGEST_KEY)?;
    let value = length(input, LONGEST_VALUE)?;
    Ok(Some((take(input, key)?, take(input, value)?)))
}

fn length(input: &mut impl BufRead, longest: u32) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes(bytes);
    if length <= longest { Ok(length) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn take(input: &mut impl BufRead, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == u64::from(length) { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(mut bytes: &[u8]) -> io::Result<Vec<Row>> {
        begin(&mut bytes)?;
        let mut rows = Vec::new();
        while let Some(row) = next(&mut bytes)? {
            rows.push(row);
        }
        Ok(rows)
    }

    proptest! {
        #[test]
        fn rows_read_back_and_not_when_cut(rows: Vec<(Vec<u8>, Vec<u8>)>, cut: prop::sample::Index) {
            let mut bytes = MAGIC.to_vec();
            for (key, value) in &rows {
                write(&mut bytes, key, value).unwrap();
            }
            prop_assert_eq!(read(&bytes).unwrap(), rows.clone());
            let cut = read(&bytes[..cut.index(bytes.len())]);
            prop_assert!(cut.is_err() || cut.unwrap().len() < rows.len());
        }

        #[test]
        fn any_bytes_are_rows_or_not(bytes: Vec<u8>) {
            read(&bytes).ok();
            read(&[MAGIC.as_slice(), &bytes].concat()).ok();
        }
    }
}
