//! Versions of terms, and who is asked again.

use super::*;
use crate::{domain::terms::Agreement, store::records::TermsEpoch};

impl House {
    async fn agreement(&self, name: &str) -> Agreement {
        let agreements = self.foundation.store.list(&records::agreements(tenant())).await.unwrap();
        agreements.into_iter().map(|stored| stored.value).find(|agreement| agreement.name == name).expect("an agreement")
    }

    async fn epoch(&self) -> TermsEpoch {
        self.get(&records::terms_epoch(tenant())).await.unwrap_or_default()
    }
}

#[tokio::test]
async fn other_bytes_are_a_new_version_and_the_same_bytes_are_none() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let first = house.epoch().await;
    house.clock.advance(60);
    let declared = with_terms(&contoso(""), "# Terms\n\nBe kinder.\n");
    let report = house.try_apply(&declared, false).await.unwrap();
    assert_eq!(report.changes, ["~ agreement Terms: files (Contoso)"]);
    let versions = house.agreement("Terms").await.files.remove(0).versions;
    assert_eq!(versions.iter().map(|v| (v.version, v.major)).collect::<Vec<_>>(), [(1, true), (2, true)]);
    assert!(versions[1].published > versions[0].published);
    for version in &versions {
        assert!(house.documents().text(tenant(), &version.document).await.is_ok(), "old ones stay");
    }
    assert!(house.epoch().await.everywhere > first.everywhere);
    let raised = house.epoch().await;
    assert!(house.try_apply(&declared, false).await.unwrap().changes.is_empty());
    assert_eq!(house.epoch().await, raised);
    let minor = contoso("").replace("path = \"terms.md\"", "path = \"terms.md\"\nmajor = false");
    house.try_apply(&with_terms(&minor, "# Terms\n\nBe kind, please.\n"), false).await.unwrap();
    let versions = house.agreement("Terms").await.files.remove(0).versions;
    assert_eq!((versions.len(), versions[2].major), (3, false));
}

#[tokio::test]
async fn only_those_whom_new_terms_concern_are_asked_again() {
    let house = House::new();
    let of_travel = |terms: &str| {
        let agreement = "[[tenant.agreement]]\nname = \"Travel terms\"\napps = [\"Travel\"]\n[[tenant.agreement.file]]\n\
             language = \"en\"\ndisplay_name = \"Terms of Travel\"\npath = \"travel.txt\"\n";
        let mut declared = desired(&contoso(agreement));
        put(&mut declared, "travel.txt", terms.as_bytes());
        declared
    };
    house.apply(&contoso("")).await;
    let before = house.epoch().await;
    house.try_apply(&of_travel("one"), false).await.unwrap();
    let (expenses, travel) = (house.app("Expenses").await.id, house.app("Travel").await.id);
    let after = house.epoch().await;
    assert_eq!((after.everywhere, after.of(Some(expenses))), (before.everywhere, before.of(Some(expenses))));
    assert!(after.of(Some(travel)) > before.of(Some(travel)));
    house.try_apply(&of_travel("two"), false).await.unwrap();
    assert!(house.epoch().await.of(Some(travel)) > after.of(Some(travel)));
    assert_eq!(house.epoch().await.everywhere, before.everywhere);

    let mut everywhere = of_travel("two");
    everywhere.tenants[0].agreements[1].apps.clear();
    house.try_apply(&everywhere, false).await.unwrap();
    assert!(house.epoch().await.everywhere > house.epoch().await.apps[&travel] - 1, "a wider scope concerns everybody");
    assert!(house.epoch().await.of(Some(expenses)) > before.of(Some(expenses)));
}

#[tokio::test]
async fn a_new_language_is_added_and_one_that_is_not_declared_stays() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let german = contoso("").replace("language = \"en\"", "language = \"de\"");
    house.apply(&german).await;
    let languages: Vec<_> = house.agreement("Terms").await.files.iter().map(|file| file.language.to_string()).collect();
    assert_eq!(languages, ["en", "de"], "the first stays the default");
}

#[tokio::test]
async fn documents_that_cannot_be_shown_are_refused() {
    let house = House::new();
    for (name, bytes, reason) in [
        ("terms.pdf", &b"<html>"[..], "a document is a PDF"),
        ("terms.md", b"\xff\xfe", "UTF-8"),
        ("terms.html", b"<p>", "a document is a PDF"),
        ("terms", b"x", "a document is a PDF"),
        ("terms.txt", b"", "at least a byte"),
        ("terms.txt", &vec![b'x'; super::super::documents::DOCUMENT_LIMIT + 1], "10 MiB"),
    ] {
        let mut declared = desired(&contoso("").replace("terms.md", name));
        put(&mut declared, name, bytes);
        let problems = house.refused(&declared).await;
        assert!(problems.len() == 1 && problems[0].contains(reason) && problems[0].contains(name), "{name}: {problems:?}");
    }
    let mut largest = desired(&contoso("").replace("terms.md", "terms.pdf"));
    let mut pdf = b"%PDF-1.7".to_vec();
    pdf.resize(super::super::documents::DOCUMENT_LIMIT, b' ');
    put(&mut largest, "terms.pdf", &pdf);
    house.try_apply(&largest, false).await.unwrap();
    let document = house.agreement("Terms").await.files[0].versions[0].document;
    assert_eq!(house.documents().bytes(tenant(), &document).await.unwrap().to_vec(), pdf);
}

#[tokio::test]
async fn a_logo_is_a_small_png_and_nothing_else() {
    let house = House::new();
    let large = [b"\x89PNG\r\n\x1a\n".as_slice(), &vec![0; super::super::documents::LOGO_LIMIT]].concat();
    for bytes in [&b"<svg/>"[..], b"\xff\xd8\xff", &large] {
        let mut declared = desired(&contoso(""));
        put(&mut declared, "logo.png", bytes);
        let problems = house.refused(&declared).await;
        assert!(problems[0].contains("a logo is a PNG"), "{problems:?}");
    }
}
