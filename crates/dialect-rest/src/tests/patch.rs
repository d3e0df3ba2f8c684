//! JSON Patch: what the public suite does not say; the suite itself runs in `scripts/test`.

use gateway_core::{ErrorKind, Place, Problem};
use serde_json::{Value, json};

use crate::patch::apply;

fn patched(document: &Value, patch: &Value) -> Result<String, ErrorKind> {
    let patched = apply(document.clone(), patch.to_string().as_bytes());
    patched.map(|value| value.to_string()).map_err(|error| error.kind)
}

#[test]
fn every_operation() {
    let document = json!({"a": {"b": [1, 2]}, "c": "d"});
    for (operation, result) in [
        (json!({"op": "add", "path": "/a/b/-", "value": 3}), r#"{"a":{"b":[1,2,3]},"c":"d"}"#),
        (json!({"op": "add", "path": "/a/b/0", "value": 3}), r#"{"a":{"b":[3,1,2]},"c":"d"}"#),
        (json!({"op": "remove", "path": "/a/b/0"}), r#"{"a":{"b":[2]},"c":"d"}"#),
        (json!({"op": "replace", "path": "/c", "value": null}), r#"{"a":{"b":[1,2]},"c":null}"#),
        (json!({"op": "move", "from": "/c", "path": "/a/e"}), r#"{"a":{"b":[1,2],"e":"d"}}"#),
        (json!({"op": "copy", "from": "/a/b", "path": "/f~1~0"}), r#"{"a":{"b":[1,2]},"c":"d","f/~":[1,2]}"#),
        (json!({"op": "test", "path": "/c", "value": "d"}), r#"{"a":{"b":[1,2]},"c":"d"}"#),
    ] {
        assert_eq!(patched(&document, &json!([operation])).as_deref(), Ok(result), "{operation}");
    }
}

#[test]
fn members_keep_their_order() {
    let document = json!({"z": 1, "y": 2, "x": {"w": 1, "v": 2, "u": 3}, "t": 4});
    let patch = json!([
        {"op": "remove", "path": "/z"},
        {"op": "move", "from": "/x/w", "path": "/x/s"},
        {"op": "replace", "path": "/y", "value": {"r": 1, "q": 2}},
        {"op": "add", "path": "/t", "value": 5},
    ]);
    let expected = r#"{"y":{"r":1,"q":2},"x":{"v":2,"u":3,"s":1},"t":5}"#;
    assert_eq!(patched(&document, &patch).as_deref(), Ok(expected));
}

#[test]
fn numbers_are_equal_by_their_values() {
    let whole = 9_007_199_254_740_993_u64;
    for (is, test, same) in [
        (json!(1), json!(1.0), true),
        (json!(-3), json!(-3e0), true),
        (json!({"a": [0]}), json!({"a": [-0.0]}), true),
        (json!(0.1), json!(0.1), true),
        (json!(1), json!(1.5), false),
        (json!(whole), json!(whole), true),
        (json!(whole), json!(9_007_199_254_740_992.0), false),
        (json!(u64::MAX), json!(18_446_744_073_709_551_616.0), false),
        (json!(1), json!("1"), false),
        (json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), true),
        (json!({"a": 1}), json!({"a": 1, "b": 2}), false),
        (json!([1, 2]), json!([2, 1]), false),
        (json!(null), json!(false), false),
    ] {
        let result = patched(&is, &json!([{"op": "test", "path": "", "value": test}]));
        assert_eq!(result.is_ok(), same, "{is} and {test}");
        assert!(same || result == Err(ErrorKind::TestFailed));
    }
}

#[test]
fn what_is_no_patch_is_malformed() {
    let document = json!({"a": 1});
    for bad in [
        "",
        "{}",
        "null",
        "7",
        r#"[{}]"#,
        r#"["remove"]"#,
        r#"[{"op":"spam","path":"/a"}]"#,
        r#"[{"op":"Remove","path":"/a"}]"#,
        r#"[{"op":"remove"}]"#,
        r#"[{"path":"/a"}]"#,
        r#"[{"op":"remove","path":"a"}]"#,
        r#"[{"op":"remove","path":7}]"#,
        r#"[{"op":"remove","path":null}]"#,
        r#"[{"op":"remove","path":"/a~2"}]"#,
        r#"[{"op":"remove","path":"/a~"}]"#,
        r#"[{"op":"add","path":"/b"}]"#,
        r#"[{"op":"replace","path":"/a"}]"#,
        r#"[{"op":"test","path":"/a"}]"#,
        r#"[{"op":"move","path":"/b"}]"#,
        r#"[{"op":"copy","path":"/b","from":"a"}]"#,
        r#"[{"op":"remove","op":"test","path":"/a","value":1}]"#,
        r#"[{"op":"remove","path":"/a"}] x"#,
    ] {
        let error = apply(document.clone(), bad.as_bytes()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed, "{bad}");
    }
    // Members that mean nothing are ignored (RFC 6902, 4).
    let odd = json!([{"op": "test", "path": "/a", "value": 1, "from": 7, "xyz": {}}]);
    assert!(patched(&document, &odd).is_ok());
    assert!(patched(&document, &json!([])).is_ok());
}

#[test]
fn what_is_not_there_is_named() {
    let document = json!({"a": [1], "b": "x"});
    for (operation, pointer) in [
        (json!({"op": "remove", "path": "/c"}), "/c"),
        (json!({"op": "remove", "path": ""}), ""),
        (json!({"op": "replace", "path": "/c", "value": 1}), "/c"),
        (json!({"op": "replace", "path": "/a/1", "value": 1}), "/a/1"),
        (json!({"op": "add", "path": "/a/2", "value": 1}), "/a/2"),
        (json!({"op": "add", "path": "/a/01", "value": 1}), "/a/01"),
        (json!({"op": "add", "path": "/a/1e0", "value": 1}), "/a/1e0"),
        (json!({"op": "add", "path": "/c/d", "value": 1}), "/c/d"),
        (json!({"op": "add", "path": "/b/c", "value": 1}), "/b/c"),
        (json!({"op": "remove", "path": "/a/-"}), "/a/-"),
        (json!({"op": "move", "from": "/c", "path": "/d"}), "/c"),
        (json!({"op": "copy", "from": "/c", "path": "/d"}), "/c"),
        (json!({"op": "move", "from": "/a", "path": "/a/0"}), "/a/0"),
        (json!({"op": "test", "path": "/c", "value": null}), "/c"),
    ] {
        let error = apply(document.clone(), json!([operation]).to_string().as_bytes()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{operation}");
        assert_eq!(error.fields[0].place, Place::Member(pointer.into()), "{operation}");
        assert_eq!(error.fields[0].problem, Problem::Path, "{operation}");
    }
}

#[test]
fn operations_size_and_depth_are_bounded() {
    let many = |n| patched(&json!(1), &json!(vec![json!({"op": "test", "path": "", "value": 1}); n]));
    assert!(many(341).is_ok());
    assert_eq!(many(342), Err(ErrorKind::Malformed));
    // Twice as much each time.
    let double = json!({"op": "copy", "from": "", "path": "/a/-"});
    let bomb = json!(vec![double; 60]);
    assert_eq!(patched(&json!({"a": []}), &bomb), Err(ErrorKind::Invalid));
    let long = json!({"a": "x".repeat(200_000)});
    let back_and_forth = json!([
        {"op": "move", "from": "/a", "path": "/b"}, {"op": "move", "from": "/b", "path": "/a"},
    ]);
    assert!(patched(&long, &back_and_forth).is_ok());
    let on = Value::Array(
        [&back_and_forth; 3].into_iter().flat_map(|one| one.as_array().unwrap().clone()).collect(),
    );
    assert_eq!(patched(&long, &on), Err(ErrorKind::Invalid));
    // Each goes deeper than the one before.
    let deeper: Vec<_> =
        (1..=70).map(|depth| json!({"op": "add", "path": "/a".repeat(depth), "value": {}})).collect();
    assert!(patched(&json!({}), &json!(deeper[..63])).is_ok());
    assert_eq!(patched(&json!({}), &json!(deeper)), Err(ErrorKind::Invalid));
}
