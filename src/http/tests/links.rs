//! The link of an invitation itself: what opening it does, and what happens to one that was changed.

use http::{Method, StatusCode, header};

use super::{
    browser::Site,
    invitations::{SAM, WELCOME, invite, invited},
    seen::refuses,
    walk::{MARIA, Walk},
};
use crate::{
    clock::{Entropy, SeededEntropy},
    domain::invitation::InvitationState,
    error::Code,
    flows::apply::tests::tenant,
    http::urls::Action,
    store::{Key, Partition, walk::Walk as Everything},
};

/// All that the tenant has.
async fn everything(site: &Site) -> Vec<(Key, Vec<u8>)> {
    let backend = site.house.foundation.store.backend().clone();
    let mut entries = Everything::under(&*backend, Key::whole(Partition::Tenant(tenant())));
    let mut all = Vec::new();
    while let Some(entry) = entries.next().await.unwrap() {
        all.push((entry.key, entry.value.to_vec()));
    }
    site.store.take();
    all
}

/// Browsers ask every host for an icon, and others for files: none of them is a tenant, and nothing is looked up.
#[tokio::test]
async fn what_every_host_is_asked_for_is_no_tenant() {
    let mut walk = Walk::new(Site::warm().await);
    let icon = walk.site.ask(Method::HEAD, "/favicon.ico").await;
    assert_eq!((icon.status, icon.headers[header::CONTENT_TYPE].as_bytes()), (StatusCode::OK, &b"image/x-icon"[..]));
    for file in
        ["robots.txt", "apple-touch-icon.png", "sitemap.xml", "Favicon.ICO", ".well-known", ".well-known/security.txt", ".env"]
    {
        let answer = walk.get("file", &format!("/{file}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{file}");
        assert!(refuses(&answer, Code::PathUnknown), "{file}: {}", answer.body);
    }
    walk.assert(&[]);
    let unknown = walk.get("domain", "/nobody.example").await;
    assert!(refuses(&unknown, Code::TenantUnknown), "{}", unknown.body);
}

/// Who has mistyped an organisation corrects it where they are told so, and gets to what they wanted.
#[tokio::test]
async fn an_organisation_that_is_unknown_can_be_corrected() {
    let mut walk = Walk::new(Site::warm().await);
    for (link, action) in [("/?a=b&organisation=", "/"), ("/common/leave?a=b&organisation=", "/common/leave")] {
        let typed = walk.get("field", &format!("{link}contosso.example")).await;
        let page = walk.get("page", &typed.onward()).await;
        assert!(refuses(&page, Code::TenantUnknown), "{}", page.body);
        assert!(page.body.contains(&format!("method=\"get\" action=\"{action}\"")), "{}", page.body);
        assert!(page.body.contains("name=\"organisation\" type=\"text\" value=\"contosso.example\""), "{}", page.body);
        assert_eq!(page.hidden("a"), "b");
        let corrected = walk.get("field", &format!("{link}contoso.example")).await;
        assert!(corrected.onward().contains("contoso.example"));
        assert_eq!(walk.get("page", &corrected.onward()).await.status, StatusCode::SEE_OTHER);
    }
}

/// L-09, S-65: by whom and however often it is opened, nothing is written, and the ticket leaves the address bar.
#[tokio::test]
async fn l_09_opening_the_link_writes_nothing() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let before = everything(&walk.site).await;
    for method in [Method::HEAD, Method::GET, Method::GET, Method::GET, Method::GET, Method::GET, Method::HEAD] {
        let answer = walk.site.ask(method.clone(), &guest.link).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        let ticket = guest.link.split("ticket=").nth(1).unwrap();
        assert!(!format!("{:?}", answer.headers).contains(ticket), "the ticket goes no further");
        let calls = walk.site.store.take();
        assert!(calls.iter().all(|call| call.starts_with("get")), "{calls:?}");
        walk.site.wait(3600);
    }
    assert!(everything(&walk.site).await == before);
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        assert_eq!(walk.site.ask(method, &guest.link).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    walk.site.change_browser(&mut Default::default());
    let page = walk.open(&guest.link).await;
    let review = walk.prove(&page, SAM).await;
    assert_eq!(walk.land(&review).await.onward(), WELCOME, "and then the person comes");
}

/// T-03: whatever is changed in a link, it is no link any more.
#[tokio::test]
async fn t_03_a_changed_link_is_refused() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let other = walk.site.invite(invite(Some("other@northwind.example"))).await;
    let (path, query) = guest.link.split_once('?').unwrap();
    let pairs: Vec<(&str, &str)> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
    assert_eq!(pairs.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["tenant", "user", "ticket"]);
    let with = |index: usize, value: &str| {
        let pairs = pairs.iter().enumerate().map(|(at, (name, old))| format!("{name}={}", if at == index { value } else { old }));
        format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
    };
    let mut changed = Vec::new();
    for (index, (name, value)) in pairs.iter().enumerate() {
        for at in 0..value.len() {
            let byte = value.as_bytes()[at];
            let replaced = if byte == b'a' { 'b' } else { 'a' };
            changed.push(with(index, &format!("{}{replaced}{}", &value[..at], &value[at + 1..])));
            changed.push(with(index, &format!("{}{}", &value[..at], &value[at + 1..])));
        }
        let theirs = other.link.split_once('?').unwrap().1.split('&').nth(index).unwrap().split_once('=').unwrap().1;
        if theirs != *value {
            changed.push(with(index, theirs));
        }
        for end in ["a", "=", "%00", "%20", "'"] {
            changed.push(with(index, &format!("{value}{end}")));
        }
        changed.push(with(index, ""));
        changed.push(format!("{}&{name}={value}", guest.link));
        changed.push(format!("{}&{}={value}", guest.link, name.to_ascii_uppercase()));
        changed.push(guest.link.replace(&format!("{name}="), &format!("{name}s=")));
    }
    changed.push(path.to_owned());
    changed.push(with(0, "fabrikam.example"));
    let codes = [Code::InvitationUnknown, Code::TenantUnknown, Code::LinkMalformed, Code::ParameterRepeated];
    for link in &changed {
        let answer = walk.site.get(link).await;
        assert!(answer.status.is_client_error() && codes.iter().any(|code| refuses(&answer, *code)), "{link}: {}", answer.body);
    }
    assert!(changed.len() > 250, "{}", changed.len());
    // A link says the same in other words, and what is added to it is passed over.
    let ticket = pairs[2].1;
    for same in [
        format!("{}&lc=1033&ver=2.0&utm_source=mail", guest.link),
        format!("/redeem/?TICKET={ticket}&User={}&tenant=contoso.example", pairs[1].1.to_ascii_uppercase()),
        format!("{}&tenantid={}", guest.link, tenant()),
    ] {
        assert_eq!(walk.site.get(&same).await.status, StatusCode::SEE_OTHER, "{same}");
    }
    let conflict = walk.site.get(&format!("{}&tenantid=fabrikam.example", guest.link)).await;
    assert!(refuses(&conflict, Code::TenantConflict), "{}", conflict.body);
}

/// A wrong ticket, an unknown invitation and one that cannot be: one answer, after the same work.
#[tokio::test]
async fn t_10_what_is_wrong_with_a_link_is_not_told() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let (link, ticket) = guest.link.split_once("&ticket=").unwrap();
    let unknown = format!("/redeem?tenant={}&user={}", tenant(), uuid::Uuid::from_u128(5));
    let wrong = "A".repeat(43);
    let mut answers = Vec::new();
    for link in [format!("{link}&ticket={wrong}"), format!("{unknown}&ticket={ticket}"), format!("{unknown}x&ticket={ticket}")] {
        let answer = walk.site.get(&link).await;
        let body = answer.body.split("id=\"trace-id\"").next().unwrap().to_owned();
        answers.push((answer.status, body, walk.site.store.take()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_link_that_has_ended_says_how() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    walk.site.wait(30 * 86_400 - 1);
    assert_eq!(walk.site.get(&guest.link).await.status, StatusCode::SEE_OTHER);
    walk.site.wait(1);
    let answer = walk.site.get(&guest.link).await;
    assert!(answer.status == StatusCode::GONE && refuses(&answer, Code::InvitationExpired), "{}", answer.body);
    walk.site.policy("invitation_days = 0").await;
    let newer = walk.site.administer(async |act| act.resend(guest.user, None, None).await).await;
    assert!(refuses(&walk.site.get(&guest.link).await, Code::InvitationReplaced));
    walk.site.wait(400 * 86_400);
    let crate::flows::guests::Outcome::Open { link, .. } = newer.outcome else { panic!() };
    let newer = link.expose().strip_prefix("https://vestibule.example").unwrap();
    assert_eq!(walk.site.get(newer).await.status, StatusCode::SEE_OTHER, "for ever");
    walk.site.administer(async |act| act.revoke(guest.user, None).await).await;
    assert!(refuses(&walk.site.get(newer).await, Code::InvitationRevoked));
}

/// L-06, L-08: somebody with the ticket and without a proof, who sends every form in every order, gets nothing.
#[tokio::test]
async fn l_06_l_08_no_walk_with_the_ticket_alone_redeems() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let entropy = SeededEntropy::new(17);
    let draw = |most: usize| {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(most).unwrap()).unwrap()
    };
    let actions = [
        Action::Address,
        Action::SendCode,
        Action::Code,
        Action::Password,
        Action::HomeOrganisation,
        Action::Permissions,
        Action::OpenTerms,
        Action::Terms,
        Action::SwitchAccount,
        Action::Continue,
        Action::SendMailboxCode,
        Action::Mailbox,
        Action::Confirm,
    ];
    let fields =
        [("email", SAM), ("email", "mallory@evil.example"), ("code", "12345678"), ("answer", "accept"), ("password", "x")];
    let mut csrf = String::new();
    let mut path = String::new();
    for step in 0..3_000 {
        if step % 97 == 0 {
            walk.site.change_browser(&mut Default::default());
            path = walk.site.get(&guest.link).await.onward();
            let page = walk.site.get(&path).await;
            csrf = page.hidden("csrf");
        }
        if draw(4) == 0 {
            let page = walk.site.get(&path).await;
            assert!(!page.body.contains("id=\"accept\""), "{}", page.body);
            continue;
        }
        let (action, field) = (actions[draw(actions.len())], fields[draw(fields.len())]);
        let answer = walk.site.post(&format!("{path}/{}", action.segment()), &[field, ("csrf", &csrf)]).await;
        assert!(
            !answer
                .headers
                .get_all(header::SET_COOKIE)
                .iter()
                .any(|cookie| cookie.to_str().unwrap().starts_with("__Host-vb-s-")
                    && !cookie.to_str().unwrap().contains("Max-Age=0")),
            "a session after {action:?}"
        );
        walk.site.wait(7);
    }
    walk.site.store.take();
    assert!(walk.site.user(guest.user).await.unwrap().is_pending());
    assert_eq!(walk.site.invitation(guest.user).await.state, InvitationState::Open);
}

/// Who does not want to sign in after all goes back to the app, which learns of it.
#[tokio::test]
async fn who_is_asked_for_the_address_can_go_back_to_the_app() {
    let mut walk = Walk::new(Site::warm().await);
    let authorize = walk.site.authorize("openid");
    let begun = walk.get("authorize", &authorize).await;
    let page = walk.get("address page", &begun.onward()).await;
    let cancelled = walk.send("cancel", &page, "cancel", &[]).await;
    assert!(cancelled.body.contains("id=\"declined\"") && cancelled.body.contains("error=access_denied"), "{}", cancelled.body);
    let page = walk.arrive(MARIA).await;
    let page = walk.press("switch", "address page", &page, "switch-account", &[]).await;
    assert!(page.body.contains("use instead") && !page.body.contains("that was invited"), "{}", page.body);
}
