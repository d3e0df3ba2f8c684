//! RFC 7396, appendix A, and the order of members.

use gateway_dialect::json;

use crate::merge::merge;

/// Original, patch, result.
const ROWS: [(&str, &str, &str); 15] = [
    (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
    (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
    (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
    (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
    (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
    (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
    (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
    (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
    (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
    (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
    (r#"{"a":"foo"}"#, "null", "null"),
    (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
    (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
    ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
    ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
];

fn merged(original: &str, patch: &str) -> String {
    let tree = |text: &'static str| json::parse(text.as_bytes()).unwrap();
    let leak = |text: &str| -> &'static str { text.to_owned().leak() };
    serde_json::to_string(&merge(tree(leak(original)), tree(leak(patch)))).unwrap()
}

#[test]
fn the_table_of_the_rfc() {
    for (original, patch, result) in ROWS {
        assert_eq!(merged(original, patch), result, "{original} with {patch}");
    }
}

#[test]
fn members_keep_their_places_and_new_ones_come_last() {
    let original = r#"{"d":1,"c":{"z":1,"y":2,"x":3},"b":2,"a":3}"#;
    let patch = r#"{"new":{"q":null,"p":1},"c":{"y":9,"z":null,"w":0},"d":null}"#;
    assert_eq!(merged(original, patch), r#"{"c":{"y":9,"x":3,"w":0},"b":2,"a":3,"new":{"p":1}}"#);
}
