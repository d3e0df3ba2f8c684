//! JSON Merge Patch (RFC 7396), members in their order.

use gateway_dialect::Json;

/// The target as a patch makes it.
#[must_use]
pub fn merge<'a>(target: Json<'a>, patch: Json<'a>) -> Json<'a> {
    let Json::Object(patch) = patch else { return patch };
    let mut members = match target {
        Json::Object(members) => members,
        _ => Vec::new(),
    };
    for (name, value) in patch {
        let at = members.iter().position(|(own, _)| *own == name);
        match (at, value) {
            (Some(at), Json::Null) => {
                members.remove(at);
            }
            (None, Json::Null) => {}
            (Some(at), value) => {
                let own = std::mem::replace(&mut members[at].1, Json::Null);
                members[at].1 = merge(own, value);
            }
            (None, value) => members.push((name, merge(Json::Null, value))),
        }
    }
    Json::Object(members)
}
