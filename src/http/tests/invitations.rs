//! Redemption by the link of an invitation: whom it lets in, and as whom.

use std::collections::BTreeMap;

use http::StatusCode;

use super::{
    browser::{Answer, Site, declared},
    seen::refuses,
    walk::Walk,
};
use crate::{
    domain::{
        UserId, VerifiedEmail,
        audit::{Activity, Actor},
        invitation::{Invitation, InvitationState},
        tenant::IdentitySource,
        user::{Identity, User, UserType, VerifiedIdentity},
    },
    error::Code,
    flows::{
        apply::tests::tenant,
        guests::{Administration, Invite, Outcome, Purpose},
    },
    store::{Change, records},
};

pub(super) const SAM: &str = "sam@northwind.example";
pub(super) const WELCOME: &str = "https://expenses.contoso.example/welcome";

/// Somebody who was invited, and the link.
pub(super) struct Guest {
    pub(super) user: UserId,
    pub(super) link: String,
}

pub(super) fn invite(address: Option<&str>) -> Invite {
    Invite {
        address: address.map(|address| address.parse().unwrap()),
        user: None,
        expected: None,
        purpose: Purpose::Invite,
        display_name: Some("Sam".into()),
        user_type: UserType::Guest,
        language: None,
        redirect: Some(WELCOME.parse().unwrap()),
        send: None,
        sponsors: Vec::new(),
    }
}

impl Site {
    /// Invites, and gives the path of the link.
    pub(super) async fn invite(&self, invite: Invite) -> Guest {
        let invited = self.administer(async |administration| administration.invite(&invite).await).await;
        let Outcome::Open { link, .. } = &invited.outcome else { panic!("{:?}", invited.outcome) };
        let link = link.expose().strip_prefix("https://vestibule.example").unwrap().to_owned();
        Guest { user: invited.user.id, link }
    }

    /// An administrator does something.
    pub(super) async fn administer<T>(&self, act: impl AsyncFnOnce(Administration<'_>) -> Result<T, Code>) -> T {
        let view = self.vestibule.directory.tenant(tenant()).await.unwrap().unwrap();
        let (foundation, sender) = (&self.vestibule.foundation, &self.vestibule.sender);
        let done = act(Administration { foundation, view: &view, actor: &Actor::Operator, sender }).await.unwrap();
        self.store.take();
        done
    }

    pub(super) async fn user(&self, id: UserId) -> Option<User> {
        let found = self.house.foundation.store.get(&records::user(tenant(), id)).await.unwrap();
        self.store.take();
        found.map(|user| user.value)
    }

    pub(super) async fn invitation(&self, user: UserId) -> Invitation {
        let id = self.user(user).await.unwrap().invitation.unwrap();
        let found = self.house.foundation.store.get(&records::invitation(tenant(), id)).await.unwrap();
        self.store.take();
        found.unwrap().value
    }

    pub(super) async fn activities(&self) -> Vec<Activity> {
        let events = self.house.foundation.store.list(&records::audit_events(tenant())).await.unwrap();
        self.store.take();
        events.into_iter().map(|event| event.value.activity).collect()
    }

    /// Has an invitation be somebody else's.
    pub(super) async fn change_inviter(&self, guest: UserId, by: &Actor) {
        let invitation = Invitation { invited_by: by.clone(), ..self.invitation(guest).await };
        let batch = crate::store::Batch::new(crate::store::Partition::Tenant(tenant()));
        let batch = batch.put(&records::invitation(tenant(), invitation.id), &invitation);
        self.house.foundation.store.commit(batch).await.unwrap();
        self.store.take();
    }

    /// The tenant gets another policy, and the server hears of it.
    pub(super) async fn policy(&self, policy: &str) {
        self.house.apply(&declared("").replace("policy = { ", &format!("policy = {{ {policy}, "))).await;
        self.vestibule.directory.forget(&Change::Lost);
        self.know_the_tenant().await;
    }
}

impl Walk {
    /// Opens a link and goes where it leads.
    pub(super) async fn open(&mut self, link: &str) -> Answer {
        let opened = self.get("link", link).await;
        assert_eq!(opened.status, StatusCode::SEE_OTHER, "{}", opened.body);
        self.get("first page", &opened.onward()).await
    }

    /// Proves the address that the page offers to mail a code to.
    pub(super) async fn prove(&mut self, page: &Answer, address: &str) -> Answer {
        let page = self.press("send code", "code page", page, "send-code", &[]).await;
        let code = self.site.code_to(address).await.expect("a code");
        self.press("code", "next page", &page, "code", &[("code", &code)]).await
    }

    /// Has a home organisation prove somebody, as the callback does, and looks what is next.
    pub(super) async fn prove_at_home(&mut self, subject: &str, address: Option<&str>) -> Answer {
        let foundation = self.site.house.foundation.clone();
        let proof = VerifiedIdentity {
            identity: Identity { issuer: "https://login.fabrikam.example".into(), subject: subject.into() },
            source: IdentitySource::HomeOrganisation,
            email: address.map(|address| VerifiedEmail::proven_by_passcode(address.parse().unwrap())),
            claimed_email: None,
            name: Some(subject.to_owned()),
            auth_time: foundation.now(),
            amr: Vec::new(),
        };
        self.site.change_journey(|journey| journey.prove(proof, &foundation));
        self.look().await
    }

    /// From the review of permissions to the landing.
    pub(super) async fn land(&mut self, review: &Answer) -> Answer {
        assert!(review.body.contains("id=\"accept\""), "{}", review.body);
        let accepted = self.accept_all(review).await;
        self.get("landing", &accepted.onward()).await
    }
}

/// A walk in front of a server that has invited somebody.
pub(super) async fn invited(address: Option<&str>) -> (Walk, Guest) {
    let site = Site::warm().await;
    let guest = match address {
        Some(_) => site.invite(invite(address)).await,
        None => nobodys_address(&site).await,
    };
    (Walk::new(site), guest)
}

/// A guest without any address: only an existing object may be invited like that.
async fn nobodys_address(site: &Site) -> Guest {
    let Guest { user, .. } = site.invite(invite(Some(SAM))).await;
    let store = &site.house.foundation.store;
    let stored = store.get(&records::user(tenant(), user)).await.unwrap().unwrap();
    let without = User { mail: None, ..stored.value.clone() };
    let address = SAM.parse().unwrap();
    let batch = crate::store::Batch::new(crate::store::Partition::Tenant(tenant()));
    let batch = batch.put(&records::user(tenant(), user), &without).delete(&records::address(tenant(), &address));
    store.commit(batch.delete(&records::invited(tenant(), &address, user))).await.unwrap();
    let again = Invite { address: None, user: Some(user), purpose: Purpose::Resend, ..invite(None) };
    let again = site.invite(again).await;
    // What the invitation before was sent to is nothing to compare with.
    let invitation = site.invitation(user).await;
    let key = records::invitation(tenant(), invitation.id);
    let batch = crate::store::Batch::new(crate::store::Partition::Tenant(tenant()));
    store.commit(batch.put(&key, &Invitation { address: None, ..invitation })).await.unwrap();
    site.store.take();
    again
}

/// Where the guest stands, and the invitation.
pub(super) async fn standing(walk: &Walk, guest: &Guest) -> (bool, bool) {
    let pending = walk.site.user(guest.user).await.unwrap().is_pending();
    (pending, walk.site.invitation(guest.user).await.state == InvitationState::Open)
}

#[tokio::test]
async fn an_invited_guest_proves_the_mailbox_and_lands_where_the_invitation_leads() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let page = walk.open(&guest.link).await;
    assert!(page.body.contains(SAM) && page.body.contains("id=\"send-code\""), "no address is asked for: {}", page.body);
    let review = walk.prove(&page, SAM).await;
    assert_eq!(standing(&walk, &guest).await, (true, true), "before everything is agreed nothing has changed");
    let landing = walk.land(&review).await;
    assert_eq!(landing.onward(), WELCOME);
    let InvitationState::Redeemed { identity, .. } = walk.site.invitation(guest.user).await.state else { panic!("not redeemed") };
    assert_eq!(identity.subject, format!("mailto:{SAM}"));
    let redeemed = |activity: &&Activity| matches!(activity, Activity::Redeemed { .. });
    assert_eq!(walk.site.activities().await.iter().filter(redeemed).count(), 1);

    // From now on the link leads its guest to sign in: at once where they are, by a new proof anywhere else.
    let again = walk.get("link", &guest.link).await;
    assert_eq!(walk.get("landing", &again.onward()).await.onward(), WELCOME);
    walk.site.change_browser(&mut BTreeMap::new());
    let page = walk.open(&guest.link).await;
    assert!(page.body.contains(&format!("value=\"{SAM}\"")), "the address can be corrected: {}", page.body);
    let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
    let page = walk.press("send code", "code page", &page, "send-code", &[]).await;
    let code = walk.site.code_to(SAM).await.unwrap();
    let proven = walk.send("code", &page, "code", &[("code", &code)]).await;
    assert_eq!(walk.get("landing", &proven.onward()).await.onward(), WELCOME, "nothing is asked twice");
    assert_eq!(walk.site.activities().await.iter().filter(redeemed).count(), 1);
}

/// Opened on one device, finished on another.
#[tokio::test]
async fn the_link_can_be_opened_again_on_another_device() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let page = walk.open(&guest.link).await;
    let _ = walk.prove(&page, SAM).await;
    walk.site.change_browser(&mut BTreeMap::new());
    walk.site.wait(60);
    let page = walk.open(&guest.link).await;
    let review = walk.prove(&page, SAM).await;
    assert_eq!(walk.land(&review).await.onward(), WELCOME);
}

/// A direct link matches by a verified address only, and then redeems the invitation that is open.
#[tokio::test]
async fn a_direct_link_redeems_the_open_invitation() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let panel = format!("/{}", tenant());
    let page = walk.open(&panel).await;
    let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
    let review = walk.prove(&page, SAM).await;
    assert_eq!(walk.land(&review).await.onward(), panel);
    assert_eq!(standing(&walk, &guest).await, (false, false));
}

/// T-05: who took it back expects that nobody comes by it, and a direct link is no way around that; a new invitation is one.
#[tokio::test]
async fn t_05_an_invitation_that_was_taken_back_lets_nobody_in_by_a_direct_link() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    walk.site.administer(async |act| act.revoke(guest.user, None).await).await;
    let direct = async |walk: &mut Walk| {
        walk.site.change_browser(&mut BTreeMap::new());
        let page = walk.open(&format!("/{}", tenant())).await;
        let page = walk.press("address", "next page", &page, "address", &[("email", SAM)]).await;
        walk.prove(&page, SAM).await
    };
    let told = direct(&mut walk).await;
    assert!(refuses(&told, Code::InvitationRevoked), "{}", told.body);
    assert!(!told.body.contains("send-again"), "none waits to be sent: {}", told.body);
    assert_eq!(standing(&walk, &guest).await, (true, false));
    walk.site.wait(60);
    walk.site.administer(async |act| act.resend(guest.user, None, None).await).await;
    let review = direct(&mut walk).await;
    assert_eq!(walk.land(&review).await.onward(), format!("/{}", tenant()));
}

/// T-05: another address does not help somebody who was blocked: what they prove is known.
#[tokio::test]
async fn t_05_a_blocked_person_who_left_does_not_come_back_by_another_address() {
    let mut walk = Walk::new(Site::warm().await);
    let subject = "eve";
    let first = walk.site.invite(invite(Some("eve@fabrikam.example"))).await;
    walk.open(&first.link).await;
    let review = walk.prove_at_home(subject, Some("eve@fabrikam.example")).await;
    walk.land(&review).await;
    walk.site.administer(async |act| act.block(first.user, None).await).await;
    walk.site.administer(async |act| act.delete(first.user, None).await).await;
    let adele = walk.site.house.user("adele@contoso.example").await.id;
    for (by, address, lets_in) in
        [(Actor::User(adele), "e@fabrikam.example", false), (Actor::Operator, "ev@fabrikam.example", true)]
    {
        walk.site.change_browser(&mut BTreeMap::new());
        let again = walk.site.invite(invite(Some(address))).await;
        walk.site.change_inviter(again.user, &by).await;
        walk.open(&again.link).await;
        let review = walk.prove_at_home(subject, Some(address)).await;
        if lets_in {
            walk.land(&review).await;
        } else {
            assert!(refuses(&review, Code::AccountBlocked), "{}", review.body);
        }
        assert_eq!(walk.site.user(again.user).await.unwrap().is_pending(), !lets_in, "{address}");
    }
}

/// T-05: where nobody can tell who invited them, nobody has let them in.
#[tokio::test]
async fn t_05_a_blocked_person_who_left_does_not_come_back_by_an_invitation_that_is_lost() {
    const EVE: &str = "eve@fabrikam.example";
    let mut walk = Walk::new(Site::warm().await);
    let first = walk.site.invite(invite(Some(EVE))).await;
    walk.open(&first.link).await;
    let review = walk.prove_at_home("eve", Some(EVE)).await;
    walk.land(&review).await;
    walk.site.administer(async |act| act.block(first.user, None).await).await;
    walk.site.administer(async |act| act.delete(first.user, None).await).await;
    let again = walk.site.invite(invite(Some(EVE))).await;
    let invitation = records::invitation(tenant(), walk.site.invitation(again.user).await.id);
    let lost = crate::store::Batch::new(crate::store::Partition::Tenant(tenant())).delete(&invitation);
    walk.site.house.foundation.store.commit(lost).await.unwrap();
    walk.site.change_browser(&mut BTreeMap::new());
    walk.open(&format!("/{}", tenant())).await;
    let told = walk.prove_at_home("eve", Some(EVE)).await;
    assert!(refuses(&told, Code::AccountBlocked), "{}", told.body);
}

/// T-05: what ends while somebody is on the way ends for them.
#[tokio::test]
async fn t_05_an_invitation_that_ends_on_the_way_redeems_nothing() {
    for code in [Code::InvitationReplaced, Code::InvitationRevoked, Code::AccountBlocked, Code::DomainNotAllowed] {
        let (mut walk, guest) = invited(Some(SAM)).await;
        let page = walk.open(&guest.link).await;
        let review = walk.prove(&page, SAM).await;
        match code {
            Code::InvitationReplaced => drop(walk.site.administer(async |act| act.resend(guest.user, None, None).await).await),
            Code::InvitationRevoked => drop(walk.site.administer(async |act| act.revoke(guest.user, None).await).await),
            Code::AccountBlocked => drop(walk.site.administer(async |act| act.block(guest.user, None).await).await),
            _ => walk.site.policy("guest_domains = { deny = [\"northwind.example\"] }").await,
        }
        let pressed = walk.accept_all_or_stop(&review).await;
        let told = walk.get("page", &pressed).await;
        assert!(refuses(&told, code), "{code}: {}", told.body);
        assert!(walk.site.user(guest.user).await.unwrap().is_pending());
        let opened = walk.get("link", &guest.link).await;
        let ended = matches!(code, Code::InvitationReplaced | Code::InvitationRevoked);
        assert_eq!(refuses(&opened, code), ended, "the link itself says so: {}", opened.body);
    }
}

impl Walk {
    /// Presses what there is to press, and gives where that leads.
    async fn accept_all_or_stop(&mut self, review: &Answer) -> String {
        let pressed = self.send("permissions", review, "permissions", &[("answer", "accept")]).await;
        let terms = self.get("next page", &pressed.onward()).await;
        if !terms.body.contains("name=\"document\"") {
            return pressed.onward();
        }
        let _ = self.press("open terms", "document", &terms, "open-terms", &[]).await;
        let document = terms.hidden("document");
        self.send("terms", &terms, "terms", &[("answer", "accept"), ("document", &document)]).await.onward()
    }
}

/// Declining does not lose the link either: the page leads back to the beginning.
#[tokio::test]
async fn whoever_declines_can_start_again() {
    let (mut walk, guest) = invited(Some(SAM)).await;
    let page = walk.open(&guest.link).await;
    let review = walk.prove(&page, SAM).await;
    let declined = walk.send("permissions", &review, "permissions", &[("answer", "cancel")]).await;
    let again = declined.body.split("id=\"start-again\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(standing(&walk, &guest).await, (true, true));
    walk.site.wait(60);
    let page = walk.get("again", &again).await;
    let review = walk.prove(&page, SAM).await;
    assert_eq!(walk.land(&review).await.onward(), WELCOME);
}

/// The place an invitation leads to has to be one still when somebody lands.
#[tokio::test]
async fn an_invitation_leads_to_the_panel_where_its_place_is_none_any_more() {
    let site = Site::warm().await;
    site.policy("redirect_origins = [\"https://www.contoso.example\"]").await;
    let redirect = Some("https://www.contoso.example/welcome".parse().unwrap());
    let guest = site.invite(Invite { redirect, ..invite(Some(SAM)) }).await;
    let mut walk = Walk::new(site);
    let page = walk.open(&guest.link).await;
    let review = walk.prove(&page, SAM).await;
    assert_eq!(walk.land(&review).await.onward(), "https://www.contoso.example/welcome");
    walk.site.policy("redirect_origins = []").await;
    let opened = walk.get("link", &guest.link).await;
    assert_eq!(walk.get("landing", &opened.onward()).await.onward(), format!("/{}", tenant()));
}

/// A member who was invited reviews permissions and redeems like a guest.
#[tokio::test]
async fn an_invited_member_redeems_too() {
    let site = Site::warm().await;
    let guest = site.invite(Invite { user_type: UserType::Member, ..invite(Some(SAM)) }).await;
    let mut walk = Walk::new(site);
    let page = walk.open(&guest.link).await;
    let review = walk.prove(&page, SAM).await;
    assert!(review.body.contains("id=\"accept\""), "{}", review.body);
    let answer = walk.send("permissions", &review, "permissions", &[("answer", "accept")]).await;
    let mut page = walk.get("next", &answer.onward()).await;
    if page.body.contains("name=\"document\"") {
        let _ = walk.press("open terms", "document", &page, "open-terms", &[]).await;
        let document = page.hidden("document");
        page = walk.press("terms", "landing", &page, "terms", &[("answer", "accept"), ("document", &document)]).await;
    }
    assert_eq!(page.onward(), WELCOME);
    let user = walk.site.user(guest.user).await.unwrap();
    assert_eq!((user.user_type, user.external_user_state()), (UserType::Member, Some("Accepted")));
}
