//! Every refusal, once: its stable code, HTTP status, sentence for people, and what to do next.
//!
//! `docs/errors.md` is generated from [`Code::ALL`] (`vestibule errors`) and a test keeps the two equal.

#[macro_use]
mod code;
mod oauth;

pub use oauth::OAuthError;

codes! {
    // Which tenant (1xxx)
    1001 TenantMissing 400 InvalidRequest "AADSTS50059, AADSTS90019"
        "This link does not say which organisation you want to visit."
        "Type the organisation's domain below, or ask the person who sent you the link for one that names the organisation.";
    1002 TenantUnknown 404 InvalidRequest "AADSTS90002"
        "There is no organisation of this name here."
        "Check the name for typing errors, or ask the person who gave you the link.";
    1003 DomainNotVerified 403 InvalidRequest "AADSTS500208"
        "The organisation that this link names has not yet proven that it owns this domain."
        "Ask the organisation to finish verifying the domain, or to send you a link with its tenant id.";
    1004 TenantConflict 400 InvalidRequest ""
        "This link names more than one organisation."
        "Ask the person who sent you the link for a new one.";
    1005 LinkMalformed 400 InvalidRequest ""
        "This link is damaged."
        "Open it again from the original message, or ask for a new one.";
    1006 AppUnknown 404 UnauthorizedClient "AADSTS700016"
        "The app that this link leads to is not known in this organisation."
        "Ask the person who sent you the link for a new one.";
    1007 HostUnknown 421 InvalidRequest ""
        "This server does not answer under this name."
        "Use the address that you were given, exactly as it was written.";
    1008 TenantSuspended 403 AccessDenied ""
        "The organisation that this link names is not open to guests at the moment."
        "Ask your contact at the organisation.";

    // Who the guest is (2xxx)
    2001 NotInvited 403 AccessDenied "AADSTS50020, AADSTS16003"
        "You have not been invited to this organisation with this account."
        "Ask your contact there to invite the address that you signed in with, or sign in with the account that was invited.";
    2002 EmailUnverified 403 AccessDenied "AADSTS51004"
        "Your home organisation signed you in, but does not vouch for your e-mail address."
        "Ask your home organisation to verify your address, or sign in with a code sent by e-mail.";
    2003 AccountBlocked 403 AccessDenied "AADSTS50057"
        "Your access to this organisation has been blocked."
        "Ask your contact at the organisation.";
    2004 InvitationLinkNeeded 403 AccessDenied "AADSTS50034"
        "This link cannot tell who you are; the link in your invitation can."
        "Open the link in your invitation, or ask your contact to send it again.";
    2005 BoundToAnotherIdentity 403 AccessDenied "AADSTS50020"
        "This guest account belongs to another sign-in."
        "Sign in with the account that you used the first time, or ask your contact to reset your invitation.";
    2006 DomainNotAllowed 403 AccessDenied "AADSTS500213"
        "This organisation does not accept guests from your e-mail domain."
        "Ask your contact at the organisation.";
    2007 NoIdentitySource 403 AccessDenied "AADSTS50034"
        "There is no way for you to sign in here with this address."
        "Ask your contact at the organisation how you are expected to sign in.";
    2008 AppNotAssigned 403 AccessDenied "AADSTS50105"
        "You have not been given access to this app."
        "Ask your contact at the organisation, or open one of your other apps.";
    2009 CodeWrong 403 AccessDenied ""
        "This code is not right."
        "Check the newest message and type the code again.";
    2010 CodeExpired 403 AccessDenied ""
        "This code can no longer be used."
        "Ask for a new code.";
    2011 TooManyCodes 429 AccessDenied ""
        "Too many codes have been asked for or tried."
        "Wait a while and try again, or sign in with your organisation's account.";
    2012 PasswordWrong 403 AccessDenied "AADSTS50126"
        "The address or the password is not right."
        "Try again. Where the page offers it, say that you cannot get in, and choose a new password; otherwise ask your organisation.";
    2013 AddressMalformed 400 InvalidRequest ""
        "This is not an e-mail address that can be used here."
        "Type an address like name@organisation.example.";
    2014 OrganisationMalformed 400 InvalidRequest ""
        "This is not a domain name."
        "Type a domain like organisation.example.";
    2015 OtherAccountExpected 403 LoginRequired "AADSTS50020"
        "The app asked for another account than the one that you signed in with."
        "Use the account that you use in the app.";

    2016 InvitationUnknown 404 InvalidRequest ""
        "This invitation link is not valid."
        "Open the link in the newest invitation that you were sent, exactly as it was written, or ask your contact for one.";
    2017 InvitationExpired 410 InvalidRequest ""
        "This invitation has expired."
        "Ask your contact to send you a new one.";
    2018 InvitationReplaced 410 InvalidRequest ""
        "A newer invitation has taken the place of this one."
        "Open the link in the newest invitation that you were sent.";
    2019 InvitationRevoked 410 InvalidRequest ""
        "Your invitation was taken back."
        "Ask your contact at the organisation for a new one.";
    2020 InvitationUsed 403 AccessDenied "AADSTS50020"
        "This invitation has been accepted with another account."
        "Sign in with the account that you used the first time, or ask your contact to reset your invitation.";
    2021 InvitedAsAnother 403 AccessDenied "AADSTS50020"
        "This invitation is for another address than the one that you signed in with."
        "Sign in with the account that was invited, or ask your contact to invite this one.";
    2022 AlreadyGuest 409 AccessDenied ""
        "You have an account here already, and this invitation is for another one."
        "Accept it with the account that was invited, or open the apps that you have with this one.";
    2030 MembersStay 403 AccessDenied ""
        "You belong to this organisation and cannot leave it here."
        "Ask your organisation's administrators.";
    2031 PasswordLength 400 InvalidRequest ""
        "This password is too short or too long."
        "Use at least 12 characters; a few words are fine.";
    2032 PasswordGuessable 400 InvalidRequest ""
        "This password would be guessed soon."
        "Take a few words that do not belong together.";
    2033 PasswordPersonal 400 InvalidRequest ""
        "This password has a part of your name, your address or the organisation's name in it."
        "Take words that have nothing to do with you or the organisation.";
    2034 PasskeyRefused 403 AccessDenied ""
        "This passkey could not be used."
        "Try again with a passkey that you set up for this organisation, or choose another way.";
    2035 PasskeyCopied 403 AccessDenied ""
        "This passkey seems to have been copied, and is not accepted."
        "Set up your account again with a code that is mailed to you, and use a new passkey.";

    // The home organisation (3xxx)
    3001 HomeUnreachable 503 TemporarilyUnavailable ""
        "Your home organisation does not answer."
        "Try again in a few minutes.";
    3002 HomeAnswerInvalid 502 AccessDenied ""
        "The answer of your home organisation could not be trusted."
        "Try again. If it happens again, tell your home organisation's support.";
    3003 HomeRefused 403 AccessDenied ""
        "Your home organisation did not sign you in."
        "Try again, or sign in with another account.";
    3004 HomeDisabled 403 AccessDenied ""
        "This organisation no longer accepts sign-ins from your home organisation."
        "Ask your contact at the organisation.";

    // The journey (4xxx)
    4001 JourneyLost 400 LoginRequired ""
        "This sign-in is no longer open in this browser."
        "Start again from the link that you were given.";
    4002 JourneyExpired 400 LoginRequired ""
        "This sign-in took too long."
        "Start again from the link that you were given.";
    4003 ConsentDeclined 403 AccessDenied "AADSTS65004"
        "You did not accept the permissions, so you have not been signed in."
        "Nothing has been shared. You can start again at any time.";
    4004 TermsDeclined 403 AccessDenied "AADSTS53003"
        "You declined the terms of use, so you have not been signed in."
        "You can start again at any time and accept them.";
    4005 TermsNotOpened 400 InteractionRequired ""
        "The document has to be opened before it can be accepted."
        "Open the document, then accept.";
    4006 TermsChanged 409 InteractionRequired ""
        "The terms were changed while you were reading them."
        "Read and accept the version that is shown now.";
    4007 CrossSite 403 AccessDenied ""
        "This request came from another site and was not carried out."
        "Go back and press the button on our page.";
    4008 Framed 403 AccessDenied ""
        "This page is never shown inside another page."
        "Open the link in a window of its own.";
    4009 RequestTooLarge 400 InvalidRequest ""
        "This sign-in request is too large to be carried by a browser."
        "Tell the app's maker: state and nonce together may have 4,608 characters.";
    4010 TermsOwed 403 InteractionRequired "AADSTS50158"
        "There are new terms to agree to before you can go on."
        "Open the link that is given, agree, and try again.";
    4011 Cancelled 403 AccessDenied "AADSTS65004"
        "You cancelled, so you have not been signed in."
        "You can start again at any time.";
    4012 Changed 409 ServerError ""
        "Something else changed your account at the same moment."
        "Try again.";

    // The protocol (5xxx)
    5001 RedirectUriUnknown 400 InvalidRequest "AADSTS50011"
        "The app asked to return to an address that is not registered for it."
        "Tell the app's maker. You have not been sent there.";
    5002 RequestInvalid 400 InvalidRequest "AADSTS90014"
        "The app's request is not well-formed."
        "Tell the app's maker.";
    5003 ParameterRepeated 400 InvalidRequest ""
        "A parameter of the request appears twice."
        "Send every parameter once.";
    5004 ResponseTypeUnsupported 400 UnsupportedResponseType "AADSTS700054"
        "Only the authorization code flow is offered."
        "Use response_type=code.";
    5005 PkceRequired 400 InvalidRequest ""
        "PKCE with S256 is required."
        "Send code_challenge and code_challenge_method=S256.";
    5006 RequestObject 400 RequestNotSupported ""
        "Request objects are not supported."
        "Send plain parameters.";
    5007 RequestUri 400 RequestUriNotSupported ""
        "request_uri is not supported."
        "Send plain parameters.";
    5008 ClientAuthentication 401 InvalidClient "AADSTS7000215"
        "The client could not be authenticated."
        "Check client_id and client_secret and send them in one way only.";
    5009 GrantInvalid 400 InvalidGrant "AADSTS70008, AADSTS54005"
        "The code or refresh token is not valid, no longer valid, or was not issued to this client."
        "Start a new sign-in.";
    5010 GrantTypeUnsupported 400 UnsupportedGrantType "AADSTS70003"
        "This grant type is not offered."
        "Use authorization_code, refresh_token or client_credentials.";
    5011 ScopeInvalid 400 InvalidScope "AADSTS70011"
        "The scope is not valid here."
        "Ask for scopes that the discovery document lists.";
    5012 LoginRequired 401 LoginRequired "AADSTS50058"
        "Nobody is signed in."
        "Sign in.";
    5013 InteractionRequired 400 InteractionRequired "AADSTS16000"
        "The guest has to be asked something first."
        "Send the guest through sign-in without prompt=none.";
    5014 ConsentRequired 400 ConsentRequired "AADSTS65001"
        "The guest has not agreed to the permissions yet."
        "Send the guest through sign-in without prompt=none.";
    5015 TokenInvalid 401 InvalidToken "AADSTS50027"
        "The access token is not valid here."
        "Get a new token and send it in the Authorization header.";
    5016 ClientNotAllowed 400 UnauthorizedClient "AADSTS700016"
        "This client may not use this grant."
        "Ask the tenant's administrator.";
    5017 PostLogoutUriUnknown 400 InvalidRequest ""
        "The address to return to after signing out is not registered."
        "Tell the app's maker. You have not been sent there.";
    5018 ReturnTooLong 414 InvalidRequest ""
        "This address is too long to come back to after signing in."
        "Open the app's start page, sign in, and try again.";

    // The request itself (6xxx)
    6001 RequestRefused 400 InvalidRequest ""
        "This request is ambiguous or malformed and was not carried out."
        "Use a current browser or HTTP library.";
    6002 MethodRefused 405 InvalidRequest ""
        "This method cannot be used here."
        "Use one of the methods named in the Allow header.";
    6003 PathUnknown 404 InvalidRequest ""
        "There is nothing at this address."
        "Check the address, or start from the link that you were given.";
    6004 BodyTooLarge 413 InvalidRequest ""
        "The request body is too large."
        "Send less.";
    6005 MediaTypeUnsupported 415 InvalidRequest ""
        "The request body has a type or an encoding that is not accepted here."
        "Send it plain, in the documented type.";
    6006 TooSlow 408 InvalidRequest ""
        "The request took too long to arrive."
        "Try again.";
    6007 TooMany 429 TemporarilyUnavailable ""
        "Too many requests."
        "Wait a moment and try again.";
    6008 HeadersTooLarge 431 InvalidRequest ""
        "The request's headers are too large."
        "Clear the cookies of this site and try again.";
    6009 TargetTooLong 414 InvalidRequest ""
        "The address of this request is too long."
        "Ask for less at once: an address may have 8,192 characters.";

    // The directory (7xxx): what administrators and programs are told. Graph words are in b2b-facts section 5.1
    7001 NotPermitted 403 AccessDenied ""
        "You are not allowed to do this in the directory."
        "Ask the organisation's administrator for the permission.";
    7002 ObjectUnknown 404 InvalidRequest ""
        "There is no such object in the directory."
        "Check its id, and whether it was deleted.";
    7003 InvitingOff 403 AccessDenied ""
        "Guest invitations are switched off in this organisation."
        "Ask the organisation's operator to allow them.";
    7004 OwnDomain 400 InvalidRequest ""
        "The invited address is in a verified domain of this organisation."
        "Declare this person as a member and run `vestibule apply`, or invite another address of theirs.";
    7005 InviteesDomainRefused 403 AccessDenied ""
        "The organisation does not accept guests from the domain of the invited address."
        "Invite an address of another domain, or ask an administrator to change the list of domains.";
    7006 InviteeBlocked 409 AccessDenied ""
        "The invited user is in the directory already, and is blocked from signing in."
        "Unblock the user first.";
    7007 RedirectNotAllowed 400 InvalidRequest ""
        "The invitation would lead to a site that belongs to no app of the organisation."
        "Use an address of one of its apps as inviteRedirectUrl, leave it out, or have the site allowed as a place that invitations may lead to.";
    7008 AddressMissing 400 InvalidRequest ""
        "There is no address to invite or to write to."
        "Give an e-mail address, or invite an existing user without a mail.";
    7009 AddressNotOfUser 400 InvalidRequest ""
        "The address does not match any address of the user."
        "Add the address to the user first.";
    7010 NotAGuest 409 InvalidRequest ""
        "This user was never invited."
        "Invite the user first.";
    7011 AlreadyAccepted 409 InvalidRequest ""
        "This user has accepted the invitation already."
        "Nothing is left to do. To have the user accept once more, reset the redemption; to keep the user out, block or delete the user.";
    7012 AddressTaken 409 InvalidRequest ""
        "Another object of the directory has this address."
        "Use it as one of the other addresses, or take it from the other object first.";
    7013 IdentityTaken 409 InvalidRequest ""
        "Another user signs in with the identity of this one by now."
        "Delete the other user first, or leave this one deleted.";
    7014 VersionOutdated 412 InvalidRequest ""
        "The object was changed since it was read."
        "Read it again, and decide again.";
    7015 PropertyInvalid 400 InvalidRequest ""
        "A property has a value that cannot be kept: it is empty, too long, has too many entries, or characters that are not shown."
        "See which property the answer names, and the documentation for its limits.";
    7016 SponsorUnknown 400 InvalidRequest ""
        "A sponsor is not in the directory."
        "Name users of this organisation as sponsors.";
    7017 InviteeBarred 403 AccessDenied ""
        "The invited person was blocked from signing in here, and deleted since."
        "Have an administrator who may unblock users invite this person, or restore and unblock the deleted user.";
    7018 TooManyMails 429 TemporarilyUnavailable ""
        "Too many invitations were mailed to one address, or made by one person, of late."
        "Try again later, tomorrow at the latest. An app that administers guests can invite without a mail, and bring the link in another way.";
    7019 InviteeRevoked 409 AccessDenied ""
        "An administrator has taken the invitation of this person back."
        "Ask an administrator to invite the person once more.";
    7020 AddressPassedOn 409 InvalidRequest ""
        "Another user has the address of this one by now."
        "Delete the other user first, or give that one another address; or leave this one deleted.";

    // The server (9xxx)
    9001 Internal 500 ServerError ""
        "Something went wrong on our side."
        "Try again. If it happens again, report the reference below.";
    9002 StoreUnavailable 503 TemporarilyUnavailable ""
        "The server cannot reach its records at the moment. Nothing was changed."
        "Try again in a moment.";
    9003 LiveStale 503 TemporarilyUnavailable ""
        "This door has lost touch with the server that knows who may pass, and stays shut until it hears from it."
        "Try again in a moment.";
    9004 Draining 503 TemporarilyUnavailable ""
        "The server is about to restart."
        "Try again in a moment.";
}
