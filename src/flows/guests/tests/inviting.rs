use super::*;
use crate::{
    domain::{AppId, invitation::Invitation},
    mail::{Mail, OutboxItem, OutboxState, outbox_items},
    store::records::{DeliveryState, InvitationsBlocked},
};

async fn invitation_of(scene: &Scene, user: &User) -> Invitation {
    scene.house.get(&records::invitation(tenant(), user.invitation.unwrap())).await.expect("an invitation")
}

/// The mails that wait, as they will leave.
async fn waiting_mails(scene: &Scene) -> Vec<Mail> {
    let items = scene.store().list(&outbox_items(tenant())).await.unwrap();
    let open = |item: &OutboxItem| {
        let OutboxState::Queued { sealed } = &item.state else { return None };
        let purpose = [b"outbox", tenant().as_bytes().as_slice(), item.id.0.as_bytes()].concat();
        scene.house.foundation.ring.open::<(bool, Mail)>(&purpose, sealed).map(|(_, mail)| mail)
    };
    items.iter().filter_map(|item| open(&item.value)).collect()
}

#[tokio::test]
async fn somebody_new_becomes_a_pending_guest_with_a_link() {
    let scene = Scene::new().await;
    let before = scene.entries().await;
    let (user, link) = scene.invited("sam@fabrikam.example").await;
    assert_eq!(scene.user(user.id).await, user);
    assert!(user.is_pending() && user.account_enabled && user.user_type == UserType::Guest);
    assert_eq!((user.display_name.as_str(), user.principal_name.as_str()), ("sam", "sam_fabrikam.example#EXT#@contoso.example"));
    let invitation = invitation_of(&scene, &user).await;
    let (head, ticket) = link.expose().rsplit_once("&ticket=").unwrap();
    assert_eq!(head, format!("https://vestibule.example/redeem?tenant={}&user={}", tenant(), invitation.id));
    assert!(invitation.is_ticket(&Secret::new(ticket)) && invitation.redirect.as_str() == EXPENSES);
    assert_eq!(invitation.admit(scene.house.foundation.now()), Ok(()));
    let activities = scene.since(before).await;
    let told = Activity::Invited { user: user.id, invitation: invitation.id, mail: false };
    assert_eq!(activities, [Activity::UserAdded { user: user.id }, told]);
    assert_eq!(scene.store().list(&outbox_items(tenant())).await.unwrap().len(), 0, "nobody asked for a mail");
}

#[tokio::test]
async fn inviting_a_pending_guest_again_is_for_that_very_guest_and_ends_the_old_link() {
    let scene = Scene::new().await;
    let (first, _) = scene.invited("sam@fabrikam.example").await;
    let old = invitation_of(&scene, &first).await;
    let again = Invite { redirect: None, display_name: Some("Another".into()), ..invite("sam@fabrikam.example") };
    let (second, _) = open(scene.operator().invite(&again).await.unwrap());
    assert_eq!((first.id, &first.display_name), (second.id, &second.display_name));
    let new = invitation_of(&scene, &second).await;
    assert_eq!(new.redirect.as_str(), EXPENSES, "it leads where the one before did");
    let now = scene.house.foundation.now();
    let old = scene.house.get(&records::invitation(tenant(), old.id)).await.unwrap();
    assert_eq!((old.admit(now), new.admit(now)), (Err(Code::InvitationReplaced), Ok(())));
    scene.house.clock.advance(31 * 24 * 3600);
    assert!(scene.house.get(&records::invitation(tenant(), old.id)).await.is_none(), "it is forgotten");
    assert_eq!(new.admit(scene.house.foundation.now()), Err(Code::InvitationExpired));
    let (third, _) = open(scene.operator().resend(first.id, None, None).await.unwrap());
    assert_eq!(invitation_of(&scene, &third).await.admit(scene.house.foundation.now()), Ok(()));
    scene.since(0).await;
}

#[tokio::test]
async fn maria_whom_a_file_declared_can_be_invited() {
    let scene = Scene::new().await;
    let maria = scene.house.user("maria@fabrikam.example").await;
    let (user, _) = scene.invited("maria@fabrikam.example").await;
    assert_eq!((user.id, &user.display_name), (maria.id, &maria.display_name));
    scene.since(0).await;
}

#[tokio::test]
async fn somebody_who_has_accepted_is_left_alone() {
    let scene = Scene::new().await;
    let (user, _) = scene.invited("sam@fabrikam.example").await;
    scene.redeemed(user.id, "sam").await;
    let before = scene.entries().await;
    let mail = Invite { send: Some(Message::default()), ..invite("sam@fabrikam.example") };
    let again = scene.operator().invite(&mail).await.unwrap();
    assert!(matches!(again.outcome, Outcome::Completed) && again.user.id == user.id);
    assert_eq!(scene.operator().resend(user.id, None, None).await.unwrap_err(), Code::AlreadyAccepted);
    assert_eq!(scene.since(before).await, []);
}

#[tokio::test]
async fn an_address_that_is_anothers_goes_to_the_other_addresses() {
    let scene = Scene::new().await;
    // A member with a private address.
    let adele = scene.house.user("adele@contoso.example").await;
    let private = Change { other_mails: Some(vec![address("adele@home.example")]), ..Change::default() };
    scene.operator().change(adele.id, None, &private).await.unwrap();
    let (guest, _) = scene.invited("adele@home.example").await;
    assert_ne!(guest.id, adele.id);
    assert_eq!((&guest.mail, guest.other_mails.as_slice()), (&None, [address("adele@home.example")].as_slice()));
    assert_eq!(guest.principal_name, format!("{}#EXT#@contoso.example", guest.id));
    assert_eq!(scene.holder("adele@home.example").await, Some(adele.id));
    let (again, _) = scene.invited("adele@home.example").await;
    assert_eq!(again.id, guest.id, "not a third one");
    scene.since(0).await;
    // When the member lets go of it, it leads to the guest.
    let none = Change { other_mails: Some(Vec::new()), ..Change::default() };
    scene.operator().change(adele.id, None, &none).await.unwrap();
    assert_eq!(scene.holder("adele@home.example").await, Some(guest.id));
    scene.since(0).await;
}

#[tokio::test]
async fn l_12_a_plus_tag_is_another_guest() {
    let scene = Scene::new().await;
    let (plain, _) = scene.invited("sam@fabrikam.example").await;
    let (tagged, _) = scene.invited("sam+x@fabrikam.example").await;
    assert_ne!(plain.id, tagged.id);
    assert_eq!(scene.holder("sam+x@fabrikam.example").await, Some(tagged.id));
    scene.since(0).await;
}

#[tokio::test]
async fn each_refusal_has_its_code_and_changes_nothing() {
    let scene = Scene::with("policy = { guest_domains = { deny = [\"evil.example\"] } }").await;
    let (blocked, _) = scene.invited("blocked@fabrikam.example").await;
    scene.operator().block(blocked.id, None).await.unwrap();
    let adele = scene.house.user("adele@contoso.example").await;
    let before = scene.entries().await;
    let base = || invite("sam@fabrikam.example");
    let nobody = UserId(uuid::Uuid::nil());
    let refused = [
        (Invite { address: None, ..base() }, Code::AddressMissing),
        (invite("sam@evil.example"), Code::InviteesDomainRefused),
        (invite("sam@contoso.example"), Code::OwnDomain),
        (invite("blocked@fabrikam.example"), Code::InviteeBlocked),
        (Invite { redirect: "https://evil.example/".parse().ok(), ..base() }, Code::RedirectNotAllowed),
        (Invite { user: Some(nobody), ..base() }, Code::ObjectUnknown),
        (Invite { user: Some(adele.id), ..base() }, Code::AddressNotOfUser),
        (Invite { user: Some(adele.id), address: None, purpose: Purpose::Reset, ..base() }, Code::NotAGuest),
        (Invite { user: Some(adele.id), address: None, purpose: Purpose::Resend, ..base() }, Code::NotAGuest),
        (Invite { user: Some(adele.id), address: None, ..base() }, Code::OwnDomain),
        (Invite { purpose: Purpose::Resend, ..base() }, Code::ObjectUnknown),
        (Invite { sponsors: vec![nobody], ..base() }, Code::SponsorUnknown),
        (Invite { display_name: Some(String::new()), ..base() }, Code::PropertyInvalid),
        (Invite { display_name: Some("x".repeat(257)), ..base() }, Code::PropertyInvalid),
        (Invite { user: Some(blocked.id), address: None, expected: Some(Version(0)), ..base() }, Code::VersionOutdated),
    ];
    for (invite, code) in refused {
        assert_eq!(scene.operator().invite(&invite).await.unwrap_err(), code, "{invite:?}");
    }
    assert_eq!(scene.since(before).await, []);
}

#[tokio::test]
async fn who_may_invite_is_the_tenants_policy() {
    let app = Actor::App(AppId(uuid::Uuid::from_u128(5)));
    // none, adminsAndGuestInviters, adminsGuestInvitersAndAllMembers, everyone
    let (off, no) = (Err(Code::InvitingOff), Err(Code::NotPermitted));
    let expected = [
        ("none", [Ok(()), off, off, off, off]),
        ("adminsAndGuestInviters", [Ok(()), Ok(()), Ok(()), no, no]),
        ("adminsGuestInvitersAndAllMembers", [Ok(()), Ok(()), Ok(()), Ok(()), no]),
        ("everyone", [Ok(()), Ok(()), Ok(()), Ok(()), Ok(())]),
    ];
    for (policy, answers) in expected {
        let scene = Scene::with(&format!("policy = {{ allow_invites_from = \"{policy}\" }}")).await;
        let maria = scene.house.user("maria@fabrikam.example").await;
        scene.redeemed(maria.id, "maria").await;
        let adele = scene.house.user("adele@contoso.example").await;
        let inviter = Change { guest_inviter: Some(true), ..Change::default() };
        let (pending, _) = scene.invited("inviter@fabrikam.example").await;
        scene.redeemed(pending.id, "inviter").await;
        scene.operator().change(pending.id, None, &inviter).await.unwrap();
        let actors = [Actor::Operator, app.clone(), Actor::User(pending.id), Actor::User(adele.id), Actor::User(maria.id)];
        for (actor, answer) in actors.iter().zip(answers) {
            let invited = scene.by(actor).invite(&invite("sam@fabrikam.example")).await;
            assert_eq!(invited.map(|_| ()), answer, "{policy} {actor:?}");
        }
        let by_nobody = Actor::User(UserId(uuid::Uuid::nil()));
        assert!(scene.by(&by_nobody).invite(&invite("sam@fabrikam.example")).await.is_err());
    }
}

#[tokio::test]
async fn a_user_who_invites_answers_for_the_guest_and_makes_no_members() {
    let scene = Scene::with("policy = { allow_invites_from = \"adminsGuestInvitersAndAllMembers\" }").await;
    let adele = scene.house.user("adele@contoso.example").await;
    let actor = Actor::User(adele.id);
    let (sam, _) = open(scene.by(&actor).invite(&invite("sam@fabrikam.example")).await.unwrap());
    assert_eq!(sam.sponsors, [adele.id]);
    assert_eq!(invitation_of(&scene, &sam).await.invited_by, actor);
    let member = Invite { user_type: UserType::Member, ..invite("kim@fabrikam.example") };
    assert_eq!(scene.by(&actor).invite(&member).await.unwrap_err(), Code::NotPermitted);
    let reset = Invite { purpose: Purpose::Reset, ..invite("sam@fabrikam.example") };
    assert_eq!(scene.by(&actor).invite(&reset).await.unwrap_err(), Code::NotPermitted);
    let (kim, _) = open(scene.operator().invite(&member).await.unwrap());
    assert_eq!((kim.user_type, kim.is_pending(), kim.sponsors.len()), (UserType::Member, true, 0));
    assert_eq!(kim.principal_name, "kim_fabrikam.example#EXT#@contoso.example");
}

/// L-08: a link leads to a guest, so a person gets none of a guest whom somebody else invited, and cannot end theirs.
#[tokio::test]
async fn l_08_a_person_takes_over_nobody_elses_invitation() {
    let scene = Scene::with("policy = { allow_invites_from = \"everyone\", alias_redemption = \"link\" }").await;
    let (sam, _) = scene.invited("sam@fabrikam.example").await;
    let (maria, adele) = (scene.house.user("maria@fabrikam.example").await, scene.house.user("adele@contoso.example").await);
    scene.redeemed(maria.id, "maria").await;
    let before = scene.entries().await;
    for person in [maria.id, adele.id] {
        let actor = Actor::User(person);
        let again = scene.by(&actor).invite(&invite("sam@fabrikam.example")).await.unwrap();
        assert!(matches!(again.outcome, Outcome::Completed) && again.user.id == sam.id, "{again:?}");
        let by_id = Invite { address: None, user: Some(sam.id), ..invite("sam@fabrikam.example") };
        assert_eq!(scene.by(&actor).invite(&by_id).await.unwrap_err(), Code::NotPermitted);
    }
    assert_eq!(scene.since(before).await, []);
    assert_eq!(invitation_of(&scene, &scene.user(sam.id).await).await.admit(scene.house.foundation.now()), Ok(()));
    // Whom they invited themselves they may invite again.
    let actor = Actor::User(adele.id);
    let (kim, _) = open(scene.by(&actor).invite(&invite("kim@fabrikam.example")).await.unwrap());
    let (again, _) = open(scene.by(&actor).invite(&invite("kim@fabrikam.example")).await.unwrap());
    assert!(kim.id == again.id && kim.invitation != again.invitation);
}

/// Whoever wants no invitations by mail gets no note of somebody else's either.
#[tokio::test]
async fn an_address_that_wants_no_invitations_gets_no_copy() {
    let scene = Scene::new().await;
    let key = records::invitations_blocked(tenant(), &address("boss@fabrikam.example"));
    let blocked = InvitationsBlocked { since: scene.house.foundation.now() };
    scene.store().commit(Batch::new(Partition::Tenant(tenant())).put(&key, &blocked)).await.unwrap();
    for (cc, mails) in [("boss@fabrikam.example", 1), ("team@fabrikam.example", 3)] {
        let message = Message { cc: Some(address(cc)), ..Message::default() };
        let name = format!("guest-of-{cc}");
        scene.operator().invite(&Invite { send: Some(message), ..invite(&name) }).await.unwrap();
        assert_eq!(scene.store().list(&crate::mail::outbox_items(tenant())).await.unwrap().len(), mails);
    }
}

#[tokio::test]
async fn a_mail_waits_with_the_invitation_and_goes_with_it() {
    let scene = Scene::new().await;
    let mail = Invite { send: Some(Message::default()), ..invite("sam@fabrikam.example") };
    let invited = scene.operator().invite(&mail).await.unwrap();
    assert!(matches!(invited.outcome, Outcome::Open { mail: Posted::Queued, .. }));
    let user = invited.user;
    let waiting = || async { scene.store().list(&outbox_items(tenant())).await.unwrap().len() };
    assert_eq!(waiting().await, 1);
    let first = records::delivery(tenant(), user.invitation.unwrap());
    assert!(matches!(scene.house.get(&first).await.unwrap().state, DeliveryState::Queued { .. }));
    let (user, _) = open(scene.operator().resend(user.id, None, Some(Message::default())).await.unwrap());
    assert_eq!(waiting().await, 1, "the mail with the old link is withdrawn");
    let resent = Activity::InvitationResent { user: user.id, invitation: user.invitation.unwrap(), mail: true };
    assert_eq!(scene.since(0).await.last(), Some(&resent));
    assert!(matches!(scene.house.get(&first).await.unwrap().state, DeliveryState::Withdrawn { .. }));
    let invitation = scene.operator().revoke(user.id, None).await.unwrap();
    assert_eq!((waiting().await, invitation.admit(invitation.created)), (0, Err(Code::InvitationRevoked)));
    let entries = scene.entries().await;
    assert_eq!(scene.operator().revoke(user.id, None).await.unwrap().state, invitation.state, "twice is the same");
    assert_eq!(scene.since(entries).await, []);
    assert!(scene.user(user.id).await.is_revoked());
    for who in ["adele@contoso.example", "maria@fabrikam.example"] {
        let never_invited = scene.house.user(who).await;
        assert_eq!(scene.operator().revoke(never_invited.id, None).await.unwrap_err(), Code::NotAGuest, "{who}");
    }
    let (user, _) = open(scene.operator().resend(user.id, None, None).await.unwrap());
    assert!(!scene.user(user.id).await.is_revoked(), "they were invited once more");
    scene.redeemed(user.id, "sam").await;
    assert_eq!(scene.operator().revoke(user.id, None).await.unwrap_err(), Code::AlreadyAccepted);
}

/// Whoever has it sent once more: the guest knows who invited them, and answers go there.
#[tokio::test]
async fn an_invitation_that_is_sent_again_is_still_its_inviters() {
    let scene = Scene::with("policy = { allow_invites_from = \"adminsGuestInvitersAndAllMembers\" }").await;
    let adele = Actor::User(scene.house.user("adele@contoso.example").await.id);
    let (sam, _) = open(scene.by(&adele).invite(&invite("sam@fabrikam.example")).await.unwrap());
    let app = Actor::App(AppId(uuid::Uuid::from_u128(5)));
    for actor in [&Actor::Server, &app] {
        let again = scene.by(actor).resend(sam.id, None, Some(Message::default())).await.unwrap();
        assert_eq!(invitation_of(&scene, &again.user).await.invited_by, adele, "{actor:?}");
        let mails = waiting_mails(&scene).await;
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].reply_to, Some(address("adele@contoso.example")), "{actor:?}");
        assert!(mails[0].text.contains("Adele Vance"), "{actor:?}");
        assert_eq!(scene.house.audit().await.last().unwrap().actor, *actor, "who did it is another matter");
    }
    // Another invitation is of who invites then.
    let reset = scene.operator().reset_redemption(sam.id, None, None, None).await.unwrap();
    assert_eq!(invitation_of(&scene, &reset.user).await.invited_by, Actor::Operator);
    scene.since(0).await;
}

/// O-04: no mailbox is flooded, by whichever of the ways to have something mailed, and people cannot use up what
/// administrators have.
#[tokio::test]
async fn o_04_mails_to_one_address_and_by_one_person_are_limited() {
    let scene = Scene::with("policy = { allow_invites_from = \"everyone\" }").await;
    let adele = Actor::User(scene.house.user("adele@contoso.example").await.id);
    let app = Actor::App(AppId(uuid::Uuid::from_u128(5)));
    let copied = |to: &str| {
        let message = Message { cc: Some(address("team@fabrikam.example")), ..Message::default() };
        Invite { send: Some(message), ..invite(to) }
    };
    let mailed = |to: &str| Invite { send: Some(Message::default()), ..invite(to) };
    for number in 0..5 {
        scene.by(&adele).invite(&copied(&format!("guest{number}@fabrikam.example"))).await.unwrap();
    }
    let before = scene.entries().await;
    assert_eq!(scene.by(&adele).invite(&copied("guest5@fabrikam.example")).await.unwrap_err(), Code::TooManyMails);
    assert_eq!(scene.by(&adele).invite(&mailed("team@fabrikam.example")).await.unwrap_err(), Code::TooManyMails);
    assert_eq!(scene.since(before).await, [], "nothing has changed");
    scene.by(&adele).invite(&mailed("guest5@fabrikam.example")).await.unwrap();

    let (team, _) = open(scene.by(&app).invite(&mailed("team@fabrikam.example")).await.unwrap());
    for _ in 0..4 {
        scene.by(&app).resend(team.id, None, Some(Message::default())).await.unwrap();
    }
    for actor in [&app, &Actor::Server] {
        let refused = scene.by(actor).resend(team.id, None, Some(Message::default())).await.unwrap_err();
        assert_eq!(refused, Code::TooManyMails, "{actor:?}");
    }
    scene.by(&app).resend(team.id, None, None).await.unwrap();
    scene.operator().resend(team.id, None, Some(Message::default())).await.unwrap();
    scene.house.clock.advance(3600);
    for number in 0..10 {
        let again = scene.by(&app).resend(team.id, None, Some(Message::default())).await;
        assert!(again.is_ok(), "{number}: {again:?}");
    }
    scene.house.clock.advance(3600);
    assert_eq!(scene.by(&app).resend(team.id, None, Some(Message::default())).await.unwrap_err(), Code::TooManyMails);

    for number in 0..30 {
        let invited = scene.by(&adele).invite(&mailed(&format!("many{number}@fabrikam.example"))).await;
        assert!(invited.is_ok(), "{number}: {invited:?}");
    }
    assert_eq!(scene.by(&adele).invite(&mailed("many30@fabrikam.example")).await.unwrap_err(), Code::TooManyMails);
    let unmailed = scene.by(&adele).invite(&invite("many30@fabrikam.example")).await;
    assert_eq!(unmailed.unwrap_err(), Code::TooManyMails);
}

#[tokio::test]
async fn who_wants_no_more_mails_gets_none() {
    let scene = Scene::new().await;
    let blocked = records::invitations_blocked(tenant(), &address("sam@fabrikam.example"));
    let mut changes = Changes::of(tenant());
    changes.write(|batch| batch.put(&blocked, &InvitationsBlocked { since: scene.house.foundation.now() }));
    scene.store().commit(changes.batch).await.unwrap();
    let before = scene.entries().await;
    let mail = Invite { send: Some(Message::default()), ..invite("sam@fabrikam.example") };
    let invited = scene.operator().invite(&mail).await.unwrap();
    assert!(matches!(invited.outcome, Outcome::Open { mail: Posted::Suppressed, .. }));
    let id = invited.user.invitation.unwrap();
    let delivery = scene.house.get(&records::delivery(tenant(), id)).await.unwrap();
    assert!(matches!(delivery.state, DeliveryState::Suppressed { .. }));
    let told = Activity::InvitationMailSuppressed { user: invited.user.id, invitation: id };
    assert_eq!(scene.since(before).await.last(), Some(&told));
    assert_eq!(scene.store().list(&outbox_items(tenant())).await.unwrap().len(), 0);
}

/// T-04: only what makes a link shows it.
#[tokio::test]
async fn t_04_nothing_stored_and_nothing_printed_holds_the_ticket() {
    let scene = Scene::new().await;
    let mail = Invite { send: Some(Message::default()), ..invite("sam@fabrikam.example") };
    let invited = scene.operator().invite(&mail).await.unwrap();
    let printed = format!("{invited:?}");
    let (_, link) = open(invited);
    let (_, ticket) = link.expose().rsplit_once("ticket=").unwrap();
    assert!(!printed.contains(ticket));
    let mut walk = crate::store::walk::Walk::of(&**scene.store().backend(), Partition::Tenant(tenant()));
    while let Some(entry) = walk.next().await.unwrap() {
        assert!(!String::from_utf8_lossy(&entry.value).contains(ticket), "{:?}", entry.key);
    }
}

#[tokio::test]
async fn a_reset_keeps_the_object_and_forgets_the_identity() {
    let scene = Scene::new().await;
    let (user, _) = scene.invited("sam@fabrikam.example").await;
    let identity = scene.redeemed(user.id, "sam").await;
    let app = scene.house.app("Expenses").await.id;
    scene.operator().assign(user.id, app, Some("Approver".into())).await.unwrap();
    let new = Change { other_mails: Some(vec![address("sam@new.example")]), ..Change::default() };
    scene.operator().change(user.id, None, &new).await.unwrap();
    scene.house.clock.advance(60);
    let before = scene.entries().await;
    let unknown = scene.operator().reset_redemption(user.id, None, Some(address("x@new.example")), None).await;
    assert_eq!(unknown.unwrap_err(), Code::AddressNotOfUser);
    let reset = scene.operator().reset_redemption(user.id, None, Some(address("sam@new.example")), None).await.unwrap();
    let (after, _) = open(reset);
    assert_eq!((after.id, &after.principal_name, after.is_pending()), (user.id, &user.principal_name, true));
    assert_eq!(after.mail, Some(address("sam@new.example")));
    assert_eq!(after.other_mails, [address("sam@fabrikam.example")]);
    assert_eq!(after.sessions_valid_from, scene.house.foundation.now());
    assert!(scene.house.get(&records::identity(tenant(), &identity)).await.is_none());
    let role = scene.house.get(&records::assignment(tenant(), user.id, app)).await.unwrap().role;
    assert_eq!(role.as_deref(), Some("Approver"));
    let cutoff = scene.house.get(&records::user_cutoff(tenant(), user.id)).await.unwrap();
    assert_eq!((cutoff.sessions_valid_from, cutoff.blocked), (after.sessions_valid_from, false));
    let told = scene.since(before).await;
    assert_eq!(told[0], Activity::RedemptionReset { user: user.id });
    assert_eq!(told.len(), 2);
}
