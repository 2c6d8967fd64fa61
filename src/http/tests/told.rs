//! What the first page of an invitation's link says before it asks for anything, and to whom.

use http::StatusCode;

use super::{
    browser::Site,
    invitations::{SAM, WELCOME, invite, invited},
    seen::refuses,
    walk::{MARIA, Walk},
};
use crate::{
    domain::audit::Actor,
    error::Code,
    flows::{
        apply::tests::{contoso, tenant},
        guests::Invite,
    },
    store::records,
};

impl Site {
    /// Adele invites, and gives the path of the link.
    async fn invited_by_adele(&self, invite: Invite) -> String {
        let store = &self.house.foundation.store;
        let adele = records::address(tenant(), &"adele@contoso.example".parse().unwrap());
        let adele = store.get(&adele).await.unwrap().unwrap().value.user;
        let guest = self.invite(invite).await;
        self.change_inviter(guest.user, &Actor::User(adele)).await;
        guest.link
    }
}

#[tokio::test]
async fn an_invitation_says_who_invites_and_where_it_leads_before_anything_is_asked() {
    let site = Site::warm().await;
    let link = site.invited_by_adele(invite(Some(SAM))).await;
    let mut walk = Walk::new(site);
    let page = walk.open(&link).await;
    for said in ["<bdi>Adele Vance</bdi> invites you", "Contoso (contoso.example)", "<bdi>expenses.contoso.example</bdi>"] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    let title = page.body.split("<title>").nth(1).unwrap();
    assert!(title.starts_with("Invitation: Get a code by e‑mail · Contoso</title>"), "{title}");
    assert!(page.body.find("id=\"invited\"") < page.body.find("id=\"send-code\""), "first what it is, then what to do");
    // Also where the address is asked for. Once something was asked, it was said.
    let page = walk.press("switch", "address page", &page, "switch-account", &[]).await;
    assert!(page.body.contains("id=\"invited\"") && page.body.contains("id=\"email\""), "{}", page.body);
    let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
    let page = walk.press("send code", "code page", &page, "send-code", &[]).await;
    assert!(!page.body.contains("id=\"invited\""), "{}", page.body);
}

/// Nobody's name, where no person invites; and an invitation that was accepted invites nobody.
#[tokio::test]
async fn the_organisation_invites_where_no_person_does() {
    let site = Site::warm().await;
    let guest = site.invite(Invite { redirect: None, ..invite(Some(SAM)) }).await;
    let mut walk = Walk::new(site);
    let page = walk.open(&guest.link).await;
    assert!(page.body.contains("<bdi>Contoso (contoso.example)</bdi> invites you"), "{}", page.body);
    assert!(page.body.contains("you see the apps that <bdi>Contoso</bdi> shares"), "{}", page.body);
    let review = walk.prove(&page, SAM).await;
    walk.land(&review).await;
    walk.site.change_browser(&mut std::collections::BTreeMap::new());
    let page = walk.open(&guest.link).await;
    assert!(page.body.contains("id=\"email\"") && !page.body.contains("id=\"invited\""), "{}", page.body);
}

/// Who is sent elsewhere to sign in is told first, and chooses to go.
#[tokio::test]
async fn nobody_is_sent_to_the_home_organisation_before_they_were_told() {
    let site = Site::warm().await;
    let policy = "policy = { redemption_order = [\"home_organisation\", \"one_time_passcode\"] }\nbranding = {";
    site.house.apply(&contoso("").replace("branding = {", policy)).await;
    site.vestibule.directory.forget(&crate::store::Change::Lost);
    site.know_the_tenant().await;
    let link = site.invited_by_adele(invite(Some(MARIA))).await;
    let mut walk = Walk::new(site);
    let page = walk.open(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<bdi>Adele Vance</bdi> invites you") && page.body.contains("id=\"continue\""), "{}", page.body);
    assert!(!page.body.contains("http-equiv") && !page.body.contains("login.fabrikam.example"), "{}", page.body);
    assert!(page.body.contains("id=\"way-1\""), "a code is another way: {}", page.body);
    assert!(walk.look().await.body.contains("id=\"continue\""), "also when it is loaded again");
    // The home organisation does not answer here; that it is asked now is what matters.
    let asked = walk.press("continue", "onward", &page, "home-organisation", &[]).await;
    assert_eq!(asked.status, StatusCode::SERVICE_UNAVAILABLE, "{}", asked.body);
}

/// T-03: who has not the ticket learns nothing of the invitation, though they have another's.
#[tokio::test]
async fn t_03_a_wrong_ticket_is_told_nothing() {
    let (mut walk, other) = invited(Some(SAM)).await;
    let link = walk.site.invited_by_adele(invite(Some("tess@tailspin.example"))).await;
    let page = walk.open(&link).await;
    let host = WELCOME.split('/').nth(2).unwrap();
    let secrets = ["Adele", "tess@", host, "id=\"invited\""];
    assert!(secrets.iter().all(|secret| page.body.contains(secret)), "{}", page.body);
    let ticket = |link: &str| link.split_once("&ticket=").unwrap().1.to_owned();
    let wrong = link.replace(&ticket(&link), &ticket(&other.link));
    walk.site.change_browser(&mut std::collections::BTreeMap::new());
    let refused = walk.get("wrong ticket", &wrong).await;
    assert!(refuses(&refused, Code::InvitationUnknown), "{}", refused.body);
    for secret in secrets {
        assert!(!refused.body.contains(secret), "{secret}: {}", refused.body);
    }
}
