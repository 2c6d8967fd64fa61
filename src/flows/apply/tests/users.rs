//! Guests and members, their addresses, and what ends their sessions.

use super::*;
use crate::{
    domain::user::{ExternalUserState, UserType},
    flows::check::check,
    store::records::UserRef,
};

const GUEST: &str = "90000000-0000-4000-8000-000000000001";

fn user(lines: &str) -> String {
    contoso(&format!("[[tenant.user]]\n{lines}"))
}

#[tokio::test]
async fn a_block_voids_all_sessions_and_letting_in_again_does_not_bring_them_back() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let maria = house.user("maria@fabrikam.example").await;
    assert_eq!(house.get(&records::user_cutoff(tenant(), maria.id)).await, None);
    let with = |enabled: bool| {
        contoso("").replace("apps = [\"Expenses\"]", &format!("apps = [\"Expenses\"]\naccount_enabled = {enabled}"))
    };

    house.clock.advance(100);
    let blocked_at = house.clock.now();
    let report = house.apply(&with(false)).await;
    assert_eq!(report.changes, ["~ guest Maria Rossi: account_enabled, sessions_valid_from (Contoso)"]);
    let blocked = house.user("maria@fabrikam.example").await;
    assert_eq!((blocked.account_enabled, blocked.sessions_valid_from), (false, blocked_at));
    let cutoff = house.get(&records::user_cutoff(tenant(), maria.id)).await.expect("doors are told");
    assert_eq!((cutoff.blocked, cutoff.sessions_valid_from), (true, blocked_at));

    house.clock.advance(100);
    assert!(house.apply(&contoso("")).await.changes.is_empty(), "leaving it out lets nobody in again");
    assert!(!house.user("maria@fabrikam.example").await.account_enabled);

    house.apply(&with(true)).await;
    let back = house.user("maria@fabrikam.example").await;
    assert_eq!((back.account_enabled, back.sessions_valid_from), (true, blocked_at));
    let cutoff = house.get(&records::user_cutoff(tenant(), maria.id)).await.expect("doors are told");
    assert_eq!((cutoff.blocked, cutoff.sessions_valid_from), (false, blocked_at));
    let words: Vec<_> = house.audit().await.into_iter().map(|event| event.activity).collect();
    let user = maria.id;
    assert_eq!(words[words.len() - 2..], [Activity::UserBlocked { user }, Activity::UserUnblocked { user }]);
    let app = house.app("Expenses").await.id;
    assert!(words.contains(&Activity::AppAssigned { user, app }), "as anybody else says it: {words:?}");
}

/// Decision 4: the new guest is made without the address, which goes to the other addresses.
#[tokio::test]
async fn a_guest_with_an_address_that_somebody_has_needs_the_mailed_link() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let adele = house.user("adele@contoso.example").await;
    let text = user(&format!("id = \"{GUEST}\"\ndisplay_name = \"Adele, privately\"\nmail = \"adele@contoso.example\""));
    let report = house.apply(&text).await;
    assert_eq!(report.changes, ["+ guest Adele, privately (Contoso)"]);
    let guest = house.get(&records::user(tenant(), GUEST.parse().unwrap())).await.expect("the guest");
    assert_eq!((guest.mail, guest.other_mails), (None, vec![address("adele@contoso.example")]));
    assert!(matches!(guest.external, Some(ExternalUserState::PendingAcceptance { .. })));
    assert_eq!(house.user("adele@contoso.example").await.id, adele.id, "the holder keeps it");
    assert!(house.apply(&text).await.changes.is_empty());

    // In one file, in any order of making them.
    let house = House::new();
    house.apply(&text).await;
    assert_eq!(house.user("adele@contoso.example").await.user_type, UserType::Member);
    assert!(house.apply(&text).await.changes.is_empty());
}

#[tokio::test]
async fn nobody_is_turned_into_somebody_else_by_an_address() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let second = user("display_name = \"Another Maria\"\nmail = \"maria@fabrikam.example\"");
    let problems = house.refused(&desired(&second)).await;
    assert!(problems.len() == 1 && problems[0].contains("Another Maria") && problems[0].contains("id"), "{problems:?}");
    let as_guest = contoso("").replace("user_type = \"Member\"", "").replace("password = \"correct horse battery staple\"", "");
    let problems = house.refused(&desired(&as_guest)).await;
    assert!(problems[0].contains("Adele Vance"), "{problems:?}");
    let nobody = user("display_name = \"Nobody\"");
    assert!(house.refused(&desired(&nobody)).await[0].contains("needs an id"));
}

/// What leads to somebody says what is so of them once everything is applied, in whichever order the file names people.
#[tokio::test]
async fn an_address_passes_to_somebody_as_the_same_file_makes_them() {
    const OTHER: &str = "90000000-0000-4000-8000-000000000002";
    const SHARED: &str = "team@fabrikam.example";
    let both = |first: &str, second: &str| user(&format!("{first}\n[[tenant.user]]\n{second}"));
    let holds = |id: &str| format!("id = \"{id}\"\ndisplay_name = \"Somebody\"\nother_mails = [\"{SHARED}\"]\n");
    let lets_go = holds(GUEST).replace(&format!("\"{SHARED}\""), "");
    let changed = holds(OTHER) + "user_type = \"Member\"\n";
    let gone = holds(OTHER).replace(&format!("\"{SHARED}\""), "");
    for (text, heir) in [
        (both(&changed, &lets_go), Some(UserRef { user: OTHER.parse().unwrap(), guest: false })),
        (both(&lets_go, &changed), Some(UserRef { user: OTHER.parse().unwrap(), guest: false })),
        (both(&gone, &lets_go), None),
    ] {
        let house = House::new();
        house.apply(&both(&holds(GUEST), &holds(OTHER))).await;
        house.apply(&text).await;
        assert_eq!(house.get(&records::address(tenant(), &address(SHARED))).await, heir, "{text}");
        let report = check(&**house.foundation.store.backend(), Some(&house.foundation.ring), true).await.unwrap();
        assert!(report.problems.is_empty(), "{:#?}", report.problems);
    }
}

#[tokio::test]
async fn an_address_that_was_given_up_is_free_for_others() {
    let house = House::new();
    let sam = |lines: &str| user(&format!("id = \"{GUEST}\"\ndisplay_name = \"Sam\"\n{lines}"));
    house.apply(&sam("mail = \"sam@proseware.example\"\nother_mails = [\"sam@old.example\"]")).await;
    assert_eq!(house.user("sam@old.example").await.id, GUEST.parse().unwrap());
    house.apply(&sam("")).await;
    assert_eq!(house.user("sam@old.example").await.mail, Some(address("sam@proseware.example")), "left out: as it was");
    let swapped = sam("mail = \"sam@new.example\"\nother_mails = []")
        + "\n[[tenant.user]]\ndisplay_name = \"Heir\"\nmail = \"sam@proseware.example\"\n";
    house.apply(&swapped).await;
    assert_eq!(house.user("sam@new.example").await.id, GUEST.parse().unwrap());
    assert_eq!(house.user("sam@proseware.example").await.display_name, "Heir");
    assert_eq!(house.get(&records::address(tenant(), &address("sam@old.example"))).await, None);
    assert!(house.apply(&swapped).await.changes.is_empty());
}

#[tokio::test]
async fn a_password_is_set_once_and_a_weak_one_never() {
    let house = House::new();
    house.apply(&contoso("")).await;
    let adele = house.user("adele@contoso.example").await;
    let key = crate::identity::account::password(tenant(), adele.id);
    let first = house.get(&key).await.expect("a password");
    house.clock.advance(60);
    house.apply(&contoso("")).await;
    assert_eq!(house.get(&key).await, Some(first.clone()));
    let changed = contoso("").replace("correct horse battery staple", "staple battery horse correct");
    assert_eq!(house.apply(&changed).await.changes, ["~ password of Adele Vance (Contoso)"]);
    assert_ne!(house.get(&key).await, Some(first));
    for weak in ["short", "passwordpassword", "aaaaaaaaaaaaaaaa"] {
        let problems = house.refused(&desired(&contoso("").replace("correct horse battery staple", weak))).await;
        assert!(problems[0].contains("Adele Vance") && !problems[0].contains(weak), "{problems:?}");
    }
    let guest = user("display_name = \"Sam\"\nmail = \"sam@proseware.example\"\npassword = \"correct horse battery staple\"");
    assert!(house.refused(&desired(&guest)).await[0].contains("only members"));
}

#[tokio::test]
async fn guests_come_from_where_the_policy_lets_them() {
    let house = House::new();
    let policy = "policy = { guest_domains = { allow = [\"fabrikam.example\"] } }\nbranding = {";
    let allowed = contoso("").replace("branding = {", policy);
    house.apply(&allowed).await;
    let text = format!("{allowed}\n[[tenant.user]]\ndisplay_name = \"Sam\"\nmail = \"sam@proseware.example\"\n");
    assert!(house.refused(&desired(&text)).await[0].contains("guest_domains"));
}
