//! Published keys: which fit, and what they say of the published vectors.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    jwk::{Checked, KeySet},
    jws::{Algorithm, Compact, Header, NoHeader},
};

/// RFC 7515, A.2.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515, A.3.
const EC_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 8037, A.4.
const ED_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn rsa() -> Value {
    json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"})
}

fn ec() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn ed() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// An algorithm, a key of it, and a token by that.
type Vector = (Algorithm, fn() -> Value, &'static str);

const VECTORS: [Vector; 3] =
    [(Algorithm::Rs256, rsa, RSA_TOKEN), (Algorithm::Es256, ec, EC_TOKEN), (Algorithm::EdDsa, ed, ED_TOKEN)];

fn with(mut key: Value, more: Value) -> Value {
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key
}

fn set(keys: &[Value], algorithm: Algorithm) -> Result<KeySet, &'static str> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), algorithm)
}

fn checked(keys: &[Value], algorithm: Algorithm, kid: Option<&str>, token: &str) -> Checked {
    let token = Compact::split(token).unwrap();
    set(keys, algorithm).unwrap().check(kid, token.input, &token.signature().unwrap())
}

#[test]
fn the_published_vectors_verify() {
    for (algorithm, key, token) in VECTORS {
        assert_eq!(checked(&[key()], algorithm, None, token), Checked::Good, "{algorithm:?}");
        let compact = Compact::split(token).unwrap();
        assert_eq!(compact.header(), Ok(Header { algorithm, kid: None, typ: None }));
        // Any bit of the signature, and any of what is signed, counts.
        let keys = set(&[key()], algorithm).unwrap();
        let signature = compact.signature().unwrap();
        for at in 0..signature.len() * 8 {
            let mut bent = signature.clone();
            bent[at / 8] ^= 1 << (at % 8);
            assert_eq!(keys.check(None, compact.input, &bent), Checked::Bad, "{algorithm:?} {at}");
        }
        let mut input = compact.input.to_vec();
        input[10] ^= 1;
        assert_eq!(keys.check(None, &input, &signature), Checked::Bad);
        // Cut, longer, empty, and nothing but zeros (auth-jwt-038).
        for bad in [&signature[1..], &[&signature[..], &[0]].concat(), &[], &vec![0; signature.len()]] {
            assert_eq!(keys.check(None, compact.input, bad), Checked::Bad);
        }
    }
}

/// ECDSA signatures have one form here: two numbers of 32 bytes, and no ASN.1.
#[test]
fn a_signature_in_der_is_none() {
    let token = Compact::split(EC_TOKEN).unwrap();
    let fixed = token.signature().unwrap();
    let integer = |number: &[u8]| {
        let pad: &[u8] = if number[0] & 0x80 == 0 { &[] } else { &[0] };
        let length = u8::try_from(pad.len() + number.len()).unwrap();
        [&[2, length], pad, number].concat()
    };
    let both = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    let der = [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat();
    assert_eq!(set(&[ec()], Algorithm::Es256).unwrap().check(None, token.input, &der), Checked::Bad);
}

#[test]
fn keys_that_do_not_fit_are_not_there() {
    for (algorithm, key, _) in VECTORS {
        let name = algorithm.as_str();
        for good in [
            json!({}),
            json!({"use": "sig", "alg": name, "key_ops": ["verify"], "kid": "1"}),
            json!({"x5t": "abc", "x5c": ["MIIB"], "key_ops": ["sign", "verify"], "n2": 1}),
        ] {
            assert!(set(&[with(key(), good.clone())], algorithm).is_ok(), "{good}");
        }
        for bad in [
            json!({"kty": "oct"}),
            json!({"kty": 1}),
            json!({"kty": null}),
            json!({"use": "enc"}),
            json!({"use": 1}),
            json!({"alg": "RS512"}),
            json!({"alg": "HS256"}),
            json!({"alg": null}),
            json!({"key_ops": ["sign"]}),
            json!({"key_ops": "verify"}),
            json!({"key_ops": []}),
            json!({"kid": 7}),
            // A private half that is published makes the key everybody's.
            json!({"d": "AAAA"}),
            json!({"k": "AAAA"}),
            json!({"p": "AAAA"}),
            json!({"oth": []}),
        ] {
            let refused = "a key set with a key that fits `algorithm`";
            assert_eq!(set(&[with(key(), bad.clone())], algorithm).err(), Some(refused), "{name} {bad}");
            // It does not spoil the others.
            let both = [with(key(), bad), with(key(), json!({"kid": "good"}))];
            assert_eq!(set(&both, algorithm).unwrap().counts(), (1, 1));
        }
        for other in [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            assert_eq!(set(&[key()], other).is_ok(), other == algorithm);
        }
    }
}

#[test]
fn numbers_have_their_length_and_strength() {
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let n = URL_SAFE_NO_PAD.decode(RSA_N).unwrap();
    let rsa_with = |n: &[u8], e: &[u8]| json!({"kty": "RSA", "n": number(n), "e": number(e)});
    let long = |bytes: usize| [&[0x80], &vec![0; bytes - 2][..], &[1]].concat();
    for (n, e) in [(&n, &[1, 0, 1][..]), (&long(256), &[1, 0, 1]), (&long(1024), &[1, 0, 0, 0, 1])] {
        assert!(set(&[rsa_with(n, e)], Algorithm::Rs256).is_ok(), "{}", n.len());
    }
    let even = [&n[..255], &[2]].concat();
    for (n, e) in [
        // auth-jwt-049: 1024 bits are too few, and so are 2047.
        (long(128), &[1, 0, 1][..]),
        ([&[0x7f], &n[1..]].concat(), &[1, 0, 1]),
        (long(1025), &[1, 0, 1]),
        ([&[0], &n[..]].concat(), &[1, 0, 1]),
        (even, &[1, 0, 1]),
        (Vec::new(), &[1, 0, 1]),
        (n.clone(), &[]),
        (n.clone(), &[1]),
        (n.clone(), &[3]),
        (n.clone(), &[1, 0, 0]),
        (n.clone(), &[0, 1, 0, 1]),
        (n.clone(), &[1, 0, 0, 0, 0, 1]),
    ] {
        assert!(set(&[rsa_with(&n, e)], Algorithm::Rs256).is_err(), "{} {e:?}", n.len());
    }
    for (length, fits) in [(31, false), (32, true), (33, false), (0, false)] {
        let x = number(&vec![5; length]);
        assert_eq!(set(&[with(ec(), json!({ "x": x }))], Algorithm::Es256).is_ok(), fits);
        assert_eq!(set(&[with(ec(), json!({ "y": x }))], Algorithm::Es256).is_ok(), fits);
        assert_eq!(set(&[with(ed(), json!({ "x": x }))], Algorithm::EdDsa).is_ok(), fits);
    }
    // A point that is not on the curve signs nothing.
    let off = with(ec(), json!({"x": number(&[5; 32])}));
    assert_eq!(checked(&[off], Algorithm::Es256, None, EC_TOKEN), Checked::Bad);
    for crv in ["P-384", "secp256k1", "Ed25519", "p-256"] {
        assert!(set(&[with(ec(), json!({ "crv": crv }))], Algorithm::Es256).is_err());
        assert!(set(&[with(rsa(), json!({ "n": format!("{RSA_N}=") }))], Algorithm::Rs256).is_err());
    }
}

#[test]
fn a_key_is_found_by_its_exact_id() {
    let named = |kid: &str| with(ed(), json!({ "kid": kid }));
    let other = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([9; 32]), "kid": "2"});
    let check = |keys: &[Value], kid| checked(keys, Algorithm::EdDsa, kid, ED_TOKEN);
    let two = [named("1"), other.clone()];
    assert_eq!(check(&two, Some("1")), Checked::Good);
    assert_eq!(check(&two, Some("2")), Checked::Bad);
    for unknown in ["", "1 ", "3", "../../dev/null"] {
        assert_eq!(check(&two, Some(unknown)), Checked::UnknownKey, "{unknown}");
    }
    // A token without an id leaves nothing to choose only where there is one key.
    assert_eq!(check(&two, None), Checked::Ambiguous);
    assert_eq!(check(&[named("1")], None), Checked::Good);
    assert_eq!(check(&[ed()], Some("1")), Checked::UnknownKey);
    // One id for two keys: either signs.
    assert_eq!(check(&[with(other, json!({"kid": "1"})), named("1")], Some("1")), Checked::Good);
}

#[test]
fn what_is_no_key_set_is_refused() {
    for bad in [
        "",
        "<html>sign in to the network</html>",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[]}"#,
        r#"{"keys":[1,null,"a",[]]}"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        assert!(KeySet::parse(bad.as_bytes(), Algorithm::Rs256).is_err(), "{bad}");
    }
}

#[test]
fn headers_bring_no_keys() {
    let read = |header: Value| Header::read(header.to_string().as_bytes());
    let named = Header { algorithm: Algorithm::Es256, kid: Some("k".into()), typ: Some("at+jwt".into()) };
    assert_eq!(read(json!({"alg": "ES256", "kid": "k", "typ": "at+jwt", "other": {}})), Ok(named));
    for name in ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"] {
        for value in [json!("x"), json!(null), json!({}), json!(false)] {
            let refused = read(json!({"alg": "ES256", "kid": "k", name: value}));
            assert_eq!(refused, Err(NoHeader::Refused("header_member")), "{name}");
        }
    }
    for other in ["none", "PS256", "ES384", "es256", "", "HS512", "Ed25519"] {
        assert_eq!(read(json!({ "alg": other })), Err(NoHeader::Unknown("algorithm")), "{other}");
    }
    assert_eq!(read(json!({"alg": "ES256", "kid": 1})), Err(NoHeader::Refused("claim")));
}
