//! What an invitation gives to whom: links, and ways back in for somebody who was kept out.

use super::*;

fn opens(invited: &Invited) -> bool {
    match invited.outcome {
        Outcome::Open { opens, .. } => opens,
        Outcome::Completed => panic!("completed"),
    }
}

/// Where the ticket is enough, the link of somebody who was there before is all that is theirs.
#[tokio::test]
async fn l_08_the_link_of_somebody_who_was_there_is_theirs_where_it_is_enough() {
    for (policy, enough) in [("passcode", false), ("deny", false), ("link", true)] {
        let scene = Scene::with(&format!("policy = {{ alias_redemption = \"{policy}\" }}")).await;
        let first = scene.operator().invite(&invite("cfo@fabrikam.example")).await.unwrap();
        assert!(!opens(&first), "{policy}: somebody new has nothing yet");
        let again = scene.operator().invite(&invite("cfo@fabrikam.example")).await.unwrap();
        let resent = scene.operator().resend(first.user.id, None, None).await.unwrap();
        scene.redeemed(first.user.id, "cfo").await;
        let reset = scene.operator().reset_redemption(first.user.id, None, None, None).await.unwrap();
        for invited in [again, resent, reset] {
            assert_eq!(opens(&invited), enough, "{policy}");
        }
        // Of somebody without an address it always is.
        let none = Change { mail: Some(None), ..Change::default() };
        scene.operator().change(first.user.id, None, &none).await.unwrap();
        let by_id = Invite { address: None, user: Some(first.user.id), ..invite("cfo@fabrikam.example") };
        assert!(opens(&scene.operator().invite(&by_id).await.unwrap()), "{policy}");
    }
}

#[tokio::test]
async fn t_05_a_person_does_not_undo_that_an_invitation_was_taken_back() {
    let scene = Scene::with("policy = { allow_invites_from = \"everyone\" }").await;
    let adele = Actor::User(scene.house.user("adele@contoso.example").await.id);
    let (sam, _) = open(scene.by(&adele).invite(&invite("sam@fabrikam.example")).await.unwrap());
    scene.operator().revoke(sam.id, None).await.unwrap();
    let before = scene.entries().await;
    let refused = scene.by(&adele).invite(&invite("sam@fabrikam.example")).await.unwrap_err();
    assert_eq!((refused, scene.since(before).await), (Code::InviteeRevoked, Vec::new()));
    assert!(scene.user(sam.id).await.is_revoked());
    scene.invited("sam@fabrikam.example").await;
    assert!(!scene.user(sam.id).await.is_revoked(), "an administrator may");
}

/// Nobody lets in again who was blocked without being told.
#[tokio::test]
async fn t_05_who_may_invite_a_blocked_person_anew_is_told_of_the_block() {
    let scene = Scene::new().await;
    for (mail, block) in [("sam@fabrikam.example", true), ("kim@fabrikam.example", false)] {
        let first = scene.operator().invite(&invite(mail)).await.unwrap();
        assert!(!first.was_blocked);
        if block {
            scene.operator().block(first.user.id, None).await.unwrap();
        }
        scene.operator().delete(first.user.id, None).await.unwrap();
        let again = scene.operator().invite(&invite(mail)).await.unwrap();
        assert_eq!(again.was_blocked, block, "{mail}");
    }
}
