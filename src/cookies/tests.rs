use proptest::prelude::*;

use super::{
    strip::{decode_to_the_end, folds_into},
    *,
};

fn headers<T: AsRef<[u8]>>(fields: &[T]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(COOKIE, HeaderValue::from_bytes(field.as_ref()).expect("a header value"));
    }
    headers
}

fn stripped<T: AsRef<[u8]>>(fields: &[T]) -> Vec<Vec<u8>> {
    let mut headers = headers(fields);
    strip_prefix(&mut headers, PREFIX);
    headers.get_all(COOKIE).iter().map(|field| field.as_bytes().to_vec()).collect()
}

const NAME: &[u8] = b"__Host-vb-s-contoso";

/// Names that some parser folds into ours.
const LOOK_ALIKES: &[&[u8]] = &[
    b"%5F%5FHost-vb-s-contoso",
    b"%5f_Host-vb-s-contoso",
    b"%255F%255FHost-vb-s-contoso",
    b"%%35%46_Host-vb-s-contoso",
    b"__%48ost-vb-s-contoso",
    b"__host-vb-s-contoso",
    b"__HOST-VB-S-CONTOSO",
    b"\xe2\x80\x80__Host-vb-s-contoso",
    b"\xc2\x85__Host-vb-s-contoso",
    b"\xc2\xa0__Host-vb-s-contoso",
    b"\x85__Host-vb-s-contoso",
    b"\xa0__Host-vb-s-contoso",
    b"\xef\xbb\xbf__Host-vb-s-contoso",
    b"\xe3\x80\x80__Host-vb-s-contoso",
    b"%20__Host-vb-s-contoso",
    b"%00__Host-vb-s-contoso",
    b"..Host-vb-s-contoso",
    b"_[Host-vb-s-contoso",
    b"\"__Host-vb-s-contoso\"",
    b"=__Host-vb-s-contoso",
];

#[test]
fn b_01_a_name_is_exactly_its_octets() {
    for name in LOOK_ALIKES {
        let field = [name, &b"=evil"[..]].concat();
        assert_eq!(find(&headers(&[&field]), NAME), Found::None, "{}", name.escape_ascii());
        let beside = headers(&[&[b"__Host-vb-s-contoso=mine; ", &field[..]].concat()]);
        assert_eq!(find(&beside, NAME), Found::One(b"mine"), "{}", name.escape_ascii());
    }
    for field in ["__Host-vb-s-contoso =x", "__Host-vb-s-contoso\t=x", "__Host-vb-s-contos=x", "__Host-vb-s-contoso2=x"] {
        assert_eq!(find(&headers(&[field]), NAME), Found::None, "{field}");
    }
    assert_eq!(find(&headers(&["a=1;\t __Host-vb-s-contoso=x \t;b=2"]), NAME), Found::One(b"x"));
}

#[test]
fn b_02_a_repeated_name_is_no_cookie() {
    assert_eq!(find(&headers(&["__Host-vb-s-contoso=a; __Host-vb-s-contoso=a"]), NAME), Found::Repeated);
    assert_eq!(find(&headers(&["__Host-vb-s-contoso=a", "x=y;__Host-vb-s-contoso="]), NAME), Found::Repeated);
    assert_eq!(Found::Repeated.one(), None);
}

#[test]
fn b_04_an_odd_neighbour_does_not_hide_ours() {
    let mut field = b"bad=\xff\xfe; novalue; =; ;;__Host-vb-s-contoso=\"q\"=; x=\xc3\xa9".to_vec();
    assert_eq!(find(&headers(&[&field]), NAME), Found::One(b"\"q\"="));
    field.extend_from_slice(&b"; y".repeat(4000));
    assert_eq!(find(&headers(&[&field]), NAME), Found::One(b"\"q\"="));
}

#[test]
fn b_01_an_app_behind_us_sees_nothing_that_folds_into_our_names() {
    for name in LOOK_ALIKES {
        let field = [b"a=1;b=\xff ; ", *name, b"=evil;  c=%41; d"].concat();
        assert_eq!(stripped(&[&field]), [b"a=1;b=\xff ;  c=%41; d"], "{}", name.escape_ascii());
    }
    assert_eq!(stripped(&["__Host-vb-s-a=1; b=2", "__Host-vb-j-1=x", "c=3"]), [b"b=2", b"c=3"]);
    assert_eq!(stripped(&["__Host-vb-s-a=1"]), [[0; 0]; 0]);
    assert_eq!(stripped(&["a=__Host-vb-s; __Host-other=1; _Host-vb-x=2"]), [b"a=__Host-vb-s; __Host-other=1; _Host-vb-x=2"]);
}

#[test]
fn the_cookies_of_a_prefix_come_in_order() {
    let headers = headers(&["__Host-vb-j-2=b; a=1", "__Host-vb-j-1=c;__Host-vb-s=d"]);
    let journeys: Vec<_> = with_prefix(&headers, b"__Host-vb-j-").collect();
    assert_eq!(journeys, [(&b"__Host-vb-j-2"[..], &b"b"[..]), (b"__Host-vb-j-1", b"c")]);
}

/// Octets that may stand in a header value, biased to those that matter here.
fn octet() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop::sample::select(&b"; =\t%_-[.+\"25fFhHvb\xa0\xc2\xff"[..]),
        1 => any::<u8>().prop_filter("a header octet", |byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)),
    ]
}

fn field() -> impl Strategy<Value = Vec<u8>> {
    let ours = prop::sample::select(LOOK_ALIKES).prop_map(|name| [b"; ", name, &b"=v;"[..]].concat());
    let exact = Just(b" __Host-vb-s-contoso=v; ".to_vec());
    prop::collection::vec(prop_oneof![3 => prop::collection::vec(octet(), 0..12), 1 => ours, 1 => exact], 0..6)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn b_01_nothing_of_ours_is_left_and_nothing_else_changes(fields in prop::collection::vec(field(), 0..4)) {
        let before = headers(&fields);
        let mut after = before.clone();
        strip_prefix(&mut after, PREFIX);
        prop_assert_eq!(find(&after, NAME), Found::None);
        let theirs = |headers: &HeaderMap| -> Vec<Vec<u8>> {
            let fields = headers.get_all(COOKIE);
            let pieces = fields.iter().flat_map(pieces).filter(|piece| !folds_into(piece, PREFIX) && !piece.is_empty());
            pieces.map(<[u8]>::to_vec).collect()
        };
        prop_assert_eq!(theirs(&before), theirs(&after));
        prop_assert_eq!(after.get_all(COOKIE).iter().flat_map(pieces).filter(|piece| folds_into(piece, PREFIX)).count(), 0);
        // Twice is as good as once.
        let once = after.clone();
        strip_prefix(&mut after, PREFIX);
        prop_assert_eq!(once, after);
    }

    #[test]
    fn what_is_set_is_found(value in "[!#-+\\--:<-\\[\\]-~]{0,64}", around in field()) {
        let cookie = HostCookie::new("__Host-vb-x").expect("a name");
        let set = cookie.set(&value, None).expect("cookie octets");
        let pair = set.as_bytes().split(|&byte| byte == b';').next().expect("a pair").to_vec();
        let found = headers(&[around, pair]);
        prop_assert_eq!(cookie.find(&found), Found::One(value.as_bytes()));
    }

    #[test]
    fn decoding_ends_where_repeating_it_ends(bytes in prop::collection::vec(octet(), 0..40)) {
        let decoded = decode_to_the_end(&bytes);
        let left = decoded.windows(3).any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit());
        prop_assert!(!left);
    }
}
