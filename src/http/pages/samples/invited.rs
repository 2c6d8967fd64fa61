//! The first pages of an invitation's link.

use super::*;
use crate::flows::opened::Introduction;

/// All of them; `identify` and `account` are the pages without an invitation.
pub(super) fn all(fill: Filling, identify: &Identify, account: &Password) -> Vec<Sample> {
    let introduction =
        Some(Introduction { inviter: fill.some("Adele Vance"), leads_to: fill.some("expenses.contoso.example:8443") });
    let nobody = Some(Introduction { inviter: None, leads_to: None });
    let ways = vec![fill.way(IdentitySource::OneTimePasscode, None)];
    vec![
        sample("invited-identify", Identify { invited: nobody, app: None, ..identify.clone() }),
        sample("invited-account", Password { invited: introduction.clone(), set_up_first: true, ..account.clone() }),
        sample(
            "invited-send-code",
            SendCode {
                chrome: fill.with_account(false),
                action: fill.link("/journey/x/send"),
                invited: introduction.clone(),
                email: fill.text("ada.lovelace@fabrikam.example"),
                of_invited: true,
                other_ways: Vec::new(),
                error: None,
            },
        ),
        sample(
            "invited-home",
            SignInAtHome {
                chrome: fill.with_account(false),
                action: fill.link("/journey/x/home-organisation"),
                invited: introduction,
                organisation: fill.text("Fabrikam"),
                other_ways: ways,
            },
        ),
    ]
}
