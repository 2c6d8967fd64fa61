//! Once more, not at all, in part, and twice at once.

use super::*;
use crate::store::Batch;

#[tokio::test]
async fn the_second_apply_changes_nothing_and_commits_nothing() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let (global, own) = (house.dump(Partition::Global).await, house.dump(Partition::Tenant(tenant())).await);
    let mut watch = house.foundation.store.watch();
    house.clock.advance(3600);
    let report = house.apply(&contoso("")).await;
    assert!(report.changes.is_empty() && report.secrets.is_empty(), "{report:?}");
    assert_eq!(commits(&mut watch), 0);
    assert_eq!(house.dump(Partition::Global).await, global);
    assert_eq!(house.dump(Partition::Tenant(tenant())).await, own);
}

#[tokio::test]
async fn without_ids_the_same_objects_are_found_again() {
    let house = House::new();
    let text = contoso("").replace(&format!("id = \"{CONTOSO}\""), "");
    house.apply(&text).await;
    let made = house.owner("contoso.example").await.expect("a tenant");
    assert_ne!(made, tenant());
    let report = house.apply(&text).await;
    assert!(report.changes.is_empty(), "{report:?}");
    assert_eq!(house.owner("contoso.example").await, Some(made));
}

#[tokio::test]
async fn a_dry_run_on_an_empty_store_shows_everything_and_writes_nothing() {
    let house = House::new();
    let mut watch = house.foundation.store.watch();
    let report = house.try_apply(&desired(&contoso("")), true).await.unwrap();
    assert!(report.changes.len() == 10 && report.changes[0] == "+ tenant Contoso (Contoso)", "{report:?}");
    assert!(report.secrets.is_empty(), "no secret is shown that will not be used");
    assert_eq!(commits(&mut watch), 0);
    assert!(house.dump(Partition::Global).await.is_empty() && house.dump(Partition::Tenant(tenant())).await.is_empty());
    assert_eq!(house.apply(&contoso("")).await.changes, report.changes, "what was shown is what is done");
}

#[tokio::test]
async fn a_dry_run_shows_the_difference_and_writes_nothing() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let own = house.dump(Partition::Tenant(tenant())).await;
    let changed = contoso("[[tenant.user]]\ndisplay_name = \"Sam\"\nmail = \"sam@proseware.example\"")
        .replace("guests.contoso.example", "portal.contoso.example")
        .replace("client_id = \"us\"", "client_id = \"you\"");
    let report = house.try_apply(&desired(&changed), true).await.unwrap();
    let expected = ["~ tenant Contoso: hosts", "~ home organisation Fabrikam: client_id", "+ guest Sam"]
        .map(|line| format!("{line} (Contoso)"));
    assert_eq!(report.changes, expected);
    assert_eq!(house.dump(Partition::Tenant(tenant())).await, own);
    assert_eq!(house.get(&records::host_claim("portal.contoso.example")).await, None);
}

#[tokio::test]
async fn a_domain_that_is_given_up_can_be_taken_by_another_tenant() {
    let house = House::new();
    let two = contoso("").replace("verified = true }", "verified = true }, { name = \"labs.example\", verified = false }");
    house.apply(&two).await;
    assert_eq!(house.owner("labs.example").await, Some(tenant()));
    let other = "[[tenant]]\ndisplay_name = \"Labs\"\ndomains = [{ name = \"labs.example\", verified = true }]\nhosts = [\"guests.contoso.example\"]";
    let problems = house.refused(&desired(other)).await;
    assert!(problems[0].contains("another tenant"), "{problems:?}");
    house.apply(&contoso("").replace("hosts = [\"guests.contoso.example\"]", "hosts = []")).await;
    assert_eq!(house.owner("labs.example").await, None);
    assert_eq!(house.get(&records::host_claim("guests.contoso.example")).await, None);
    house.apply(other).await;
    assert!(house.owner("labs.example").await.is_some_and(|owner| owner != tenant()));
}

/// The process may end between the steps: after the claims, and after a part of the documents.
#[tokio::test]
async fn an_apply_that_was_cut_off_can_be_run_again() {
    let house = House::new();
    let text = contoso("").replace(&format!("id = \"{CONTOSO}\""), "");
    let declared = desired(&text);
    let spec = &declared.tenants[0];
    let id = tenant();
    let claims = super::super::claims::batch(&house.foundation, id, spec).await.unwrap().expect("claims");
    house.foundation.store.commit(claims).await.unwrap();
    let document = declared.document(std::path::Path::new("terms.md")).unwrap();
    let chunk = records::document_chunk(id, &document.id, 0);
    let half = crate::store::Write::Put { key: chunk, value: bytes::Bytes::from_static(b"# Ter"), expires: None };
    house.foundation.store.commit(Batch::new(Partition::Tenant(id)).write(half)).await.unwrap();

    house.apply(&text).await;
    assert_eq!(house.owner("contoso.example").await, Some(id), "the claims are found again");
    let text = house.documents().text(id, &document.id).await.unwrap();
    assert_eq!(text, "# Terms\n\nBe kind.\n");
    house.audit().await;
}

#[tokio::test]
async fn two_applies_at_once_add_up() {
    let house = House::new();
    let without_id = contoso("").replace(&format!("id = \"{CONTOSO}\""), "");
    let guest = |name: &str| {
        let user = format!("[[tenant.user]]\ndisplay_name = \"{name}\"\nmail = \"{name}@proseware.example\"\n");
        desired(&format!("{without_id}\n{user}"))
    };
    let declared: Vec<_> = ["sam", "kim", "lee", "noor"].map(guest).into_iter().collect();
    let applies = declared.iter().map(|declared| apply(&house.foundation, declared, false));
    for report in futures_util::future::join_all(applies).await {
        report.unwrap();
    }
    let id = house.owner("contoso.example").await.expect("a tenant");
    let users = house.foundation.store.list(&records::users(id)).await.unwrap();
    assert_eq!(users.len(), 6, "{users:?}");
    assert_eq!(house.foundation.store.list(&records::apps(id)).await.unwrap().len(), 2);
    assert_eq!(house.foundation.store.list(&records::signing_keys(id)).await.unwrap().len(), 2);
    assert_eq!(house.foundation.store.list(&records::tenants_listed()).await.unwrap().len(), 1);
    let events = house.foundation.store.list(&records::audit_events(id)).await.unwrap();
    assert_eq!(Event::first_break(id, events.iter().map(|event| &event.value)), None);
    for declared in &declared {
        assert!(house.try_apply(declared, false).await.unwrap().changes.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_given_of_a_tenant_stays_as_it_is() {
    let house = House::new();
    house.apply(&contoso("[tenant.policy]\npasscode_minutes = 5")).await;
    let before = house.get(&records::tenant(tenant())).await.expect("a tenant");
    let little = format!(
        "[[tenant]]\nid = \"{CONTOSO}\"\ndisplay_name = \"Contoso\"\ndomains = [{{ name = \"contoso.example\", verified = true }}]\n"
    );
    let report = house.apply(&little).await;
    assert!(report.changes.is_empty(), "{report:?}");
    assert_eq!(house.get(&records::tenant(tenant())).await, Some(before));
}
