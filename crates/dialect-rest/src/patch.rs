//! JSON Patch (RFC 6902): the engine is the json-patch crate; here are its bounds, and what it leaves to
//! others: numbers are equal by their values, members keep their order.

use gateway_core::{Error, ErrorKind, FieldError, Place, Problem};
use gateway_dialect::json;
use json_patch::{Patch, PatchOperation, jsonptr::Pointer};
use serde_json::{Number, Value};

/// The most bytes that a patch copies and moves, and of a patched document.
const MAX_BYTES: usize = 1_048_576;

/// Applies a patch to a document: all of it, or nothing.
///
/// # Errors
/// [`ErrorKind::Malformed`] for what is no patch, [`ErrorKind::TestFailed`], [`ErrorKind::Invalid`] for a
/// path that is not there.
pub fn apply(document: Value, patch: &[u8]) -> Result<Value, Error> {
    run(document, &read(patch)?)
}

/// Reads a patch. How many operations it may have follows from the members of a document (decision 7).
///
/// # Errors
/// [`ErrorKind::Malformed`].
pub(crate) fn read(patch: &[u8]) -> Result<Patch, Error> {
    let malformed = |message: String| Error::new(ErrorKind::Malformed).message(message);
    let parsed =
        json::parse(patch).map_err(|error| malformed(format!("The body is not valid JSON: {error}")))?;
    let patch = serde_json::to_value(&parsed).and_then(serde_json::from_value);
    // What the library says repeats what it was given.
    patch.ok().ok_or_else(|| malformed("The body is not a JSON Patch (RFC 6902)".to_owned()))
}

/// Applies the operations in order.
///
/// # Errors
/// [`ErrorKind::TestFailed`], [`ErrorKind::Invalid`].
pub(crate) fn run(mut document: Value, patch: &Patch) -> Result<Value, Error> {
    let mut room = MAX_BYTES;
    for (at, operation) in patch.iter().enumerate() {
        step(&mut document, operation, &mut room).map_err(|failed| match failed {
            Failed::Test => {
                let sentence = format!("The test of operation {} failed", at + 1);
                Error::new(ErrorKind::TestFailed).message(sentence)
            }
            Failed::Path(path) => invalid(path, Problem::Path),
            Failed::Bounds(path) => invalid(path, Problem::TooMuch),
        })?;
    }
    if measure(&document).0 > MAX_BYTES {
        Err(invalid(String::new(), Problem::TooMuch))
    } else {
        Ok(document)
    }
}

fn invalid(path: String, problem: Problem) -> Error {
    Error::invalid(vec![FieldError { place: Place::Member(path), problem }])
}

/// Why an operation cannot be applied.
enum Failed {
    Test,
    Path(String),
    Bounds(String),
}

fn step(document: &mut Value, operation: &PatchOperation, room: &mut usize) -> Result<(), Failed> {
    let path = operation.path();
    let not_there = |path: &Pointer| Failed::Path(path.as_str().to_owned());
    let depth = match operation {
        PatchOperation::Test(test) => {
            let found = document.pointer(path.as_str()).ok_or_else(|| not_there(path))?;
            return if equal(found, &test.value) { Ok(()) } else { Err(Failed::Test) };
        }
        PatchOperation::Remove(_) => {
            put_last(document, path);
            0
        }
        PatchOperation::Add(add) => measure(&add.value).1,
        PatchOperation::Replace(replace) => measure(&replace.value).1,
        PatchOperation::Copy(copy) => carried(document, &copy.from, room)?,
        PatchOperation::Move(carry) => {
            let depth = carried(document, &carry.from, room)?;
            put_last(document, &carry.from);
            depth
        }
    };
    if path.tokens().count() + depth > json::MAX_DEPTH {
        return Err(Failed::Bounds(path.as_str().to_owned()));
    }
    // Nothing is left of the document where an operation fails: there is nothing to undo.
    json_patch::patch_unsafe(document, std::slice::from_ref(operation))
        .map_err(|_what_the_path_says| not_there(path))
}

/// The depth of what is copied or moved; its size is taken from the room that is left.
fn carried(document: &Value, from: &Pointer, room: &mut usize) -> Result<usize, Failed> {
    let path = || from.as_str().to_owned();
    let source = document.pointer(from.as_str()).ok_or_else(|| Failed::Path(path()))?;
    let (bytes, depth) = measure(source);
    *room = room.checked_sub(bytes).ok_or_else(|| Failed::Bounds(path()))?;
    Ok(depth)
}

/// Makes a member the last of its object: the map's own way to remove one would put the last in its place.
fn put_last(document: &mut Value, path: &Pointer) {
    let parent = path.split_back().and_then(|(parent, last)| {
        document.pointer_mut(parent.as_str()).map(|parent| (parent, last.decoded().into_owned()))
    });
    if let Some((Value::Object(members), name)) = parent
        && let Some(value) = members.shift_remove(&name)
    {
        members.insert(name, value);
    }
}

/// Bytes, nearly, and depth of a value.
fn measure(value: &Value) -> (usize, usize) {
    let inner = |parts: &mut dyn Iterator<Item = (usize, (usize, usize))>| {
        parts
            .fold((2, 1), |(bytes, depth), (name, (inner, deep))| (bytes + name + inner, depth.max(deep + 1)))
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => (8, 0),
        Value::String(text) => (text.len() + 3, 0),
        Value::Array(items) => inner(&mut items.iter().map(|item| (1, measure(item)))),
        Value::Object(members) => {
            inner(&mut members.iter().map(|(name, value)| (name.len() + 4, measure(value))))
        }
    }
}

/// Equal as RFC 6902, 4.6 has it.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || is_same_number(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| equal(value, other)))
        }
        _ => a == b,
    }
}

/// Whole numbers are compared as such: a float holds not every one of them.
#[allow(clippy::cast_possible_truncation, reason = "a cast saturates, at what no integer of JSON is")]
fn is_same_number(a: &Number, b: &Number) -> bool {
    let whole = |number: &Number| match number.as_f64() {
        Some(float) if number.is_f64() => (float.fract() == 0.0).then_some(float as i128),
        _ => number.as_i128(),
    };
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}
