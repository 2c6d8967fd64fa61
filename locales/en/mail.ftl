# Mails. Names are cleaned of control characters before they come here.

# An organisation without any name that can be shown.
mail-organisation-unnamed = your host organisation

mail-passcode-subject = Your code for { $organisation }
mail-passcode-asked = Somebody, probably you, is signing in to { $organisation } with this e-mail address.
mail-passcode-asked-domain = Somebody, probably you, is signing in to { $organisation } ({ $domain }) with this e-mail address.
mail-passcode-enter = Type this code on the page that asks for it:
mail-passcode-lifetime = { $minutes ->
    [one] It works once, within one minute.
   *[other] It works once, within { $minutes } minutes.
}
mail-passcode-ignore = You did not ask for a code? Then ignore this message: without the code nobody can sign in with your address.
mail-passcode-never-tell = Never tell the code to anybody. Nobody will ever call or write to ask you for it.
mail-passcode-origin = The page that asks for the code is at { $origin }. Check the address before you type.
mail-automatic = This message was sent automatically; answers are not read.
