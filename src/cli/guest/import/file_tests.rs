use super::*;

/// The headings of the portal's template.
const HEAD: &str = "version:v1.0\r\nEmail address to invite [inviteeEmail] Required,Redirection url [inviteRedirectURL] Required,\
     Send invitation message (true or false) [sendEmail],Customized invitation message [customizedMessageBody]\r\n";

fn read(content: impl AsRef<[u8]>) -> Result<Vec<Row>, FileError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guests.csv");
    std::fs::write(&path, content).unwrap();
    let mut rows = Rows::open(&path)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(row);
    }
    Ok(all)
}

fn refused(content: impl AsRef<[u8]>) -> String {
    read(content).unwrap_err().to_string()
}

fn invitee(address: &str, send: bool, message: Option<&str>) -> Invitee {
    let redirect = "https://apps.contoso.example/".parse().unwrap();
    Invitee { address: address.parse().unwrap(), redirect, send, message: message.map(str::to_owned) }
}

#[test]
fn quotes_commas_and_lines_stay_in_their_message() {
    let rows = "A@x.example,https://apps.contoso.example/,TRUE,\"Dear \"\"A\"\",\r\nwelcome\"\r\n\r\n , ,\r\nb@x.example , https://apps.contoso.example/,,\n";
    let rows = read(format!("\u{feff}{HEAD}{rows}")).unwrap();
    let expected = [
        (3, "A@x.example", invitee("a@x.example", true, Some("Dear \"A\",\r\nwelcome"))),
        (7, "b@x.example", invitee("b@x.example", false, None)),
    ];
    assert_eq!(rows.len(), 2);
    for (row, (line, address, invitee)) in rows.into_iter().zip(expected) {
        assert_eq!(row, Row { line, address: address.into(), invitee: Ok(invitee) });
    }
}

#[test]
fn headings_are_known_by_their_keys_in_any_language_and_order() {
    let row = "true,x,a@x.example,https://apps.contoso.example/\n";
    for head in [
        "version:v1.0,,,\nEinladung senden [sendEmail],Abteilung,E-Mail-Adresse [inviteeEmail] Erforderlich,[inviteRedirectURL]\n",
        "sendEmail,department,inviteeEmail,inviteRedirectURL\n",
        "sendemail, department, INVITEEEMAIL, inviteredirecturl\n",
    ] {
        let rows = read(format!("{head}{row}")).unwrap();
        assert_eq!(rows[0].invitee, Ok(invitee("a@x.example", true, None)), "{head}");
    }
}

#[test]
fn a_row_that_cannot_be_is_refused_alone() {
    let long = format!("a@x.example,https://apps.contoso.example/,true,{}", "x".repeat(MESSAGE_MAX + 1));
    for (row, why) in [
        ("a@x.example,https://apps.contoso.example/,true,Welcome, Ana", "needs quotes"),
        ("a@x.example", "no redirection URL"),
        (",https://apps.contoso.example/", "no address"),
        ("a x.example,https://apps.contoso.example/", "a x.example: this is not an e-mail address"),
        ("a@x.example,javascript:alert(1)", "javascript:alert(1): "),
        ("a@x.example,https://apps.contoso.example/,maybe", "true or false"),
        (&long, "longer than 2000"),
    ] {
        let rows = read(format!("{HEAD}{row}\r\nb@x.example,https://apps.contoso.example/\r\n")).unwrap();
        assert!(rows[0].invitee.as_ref().is_err_and(|said| said.contains(why)), "{row}: {:?}", rows[0]);
        assert_eq!(rows[1].invitee, Ok(invitee("b@x.example", false, None)));
    }
}

#[test]
fn a_file_that_is_something_else_is_refused_with_the_line() {
    for (content, why) in [
        (String::new(), "there are no headings"),
        ("version:v1.0\n".to_owned(), "there are no headings"),
        ("version:v2.0\ninviteeEmail,inviteRedirectURL\n".to_owned(), "line 1: this version"),
        ("version:v1.0\ninviteeEmail;inviteRedirectURL\n".to_owned(), "line 2: the columns are separated"),
        ("inviteeEmail,sendEmail\n".to_owned(), "line 1: there is no column [inviteRedirectURL]"),
        ("inviteeEmail,inviteRedirectURL,[inviteeEmail]\n".to_owned(), "line 1: there are two columns [inviteeEmail]"),
        (format!("{HEAD}Example: a@x.example,https://apps.contoso.example/,true,\n"), "line 3: this is the example"),
    ] {
        assert!(refused(&content).contains(why), "{content}: {}", refused(&content));
    }
    let latin = [HEAD.as_bytes(), b"a@x.example,https://apps.contoso.example/,true,Gr\xfc\xdfe\r\n"].concat();
    assert!(refused(latin).starts_with("line 3: this is not UTF-8"));
    let utf16: Vec<u8> = HEAD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refused([&[0xff, 0xfe], utf16.as_slice()].concat()).contains("UTF-16"));
}

#[test]
fn a_quote_that_is_not_closed_does_not_take_the_file_into_memory() {
    let row = "b@x.example,https://apps.contoso.example/,true,hello\r\n".repeat(20_000);
    let said = refused(format!("{HEAD}a@x.example,https://apps.contoso.example/,true,\"hello\r\n{row}"));
    assert!(said.starts_with("line 3: the row that begins here is longer"), "{said}");
}
