# Mails. Names are cleaned of control characters before they come here.

mail-organisation-unnamed = Ihre Gastorganisation

mail-passcode-subject = Ihr Code für { $organisation }
mail-passcode-asked = Jemand, vermutlich Sie selbst, meldet sich mit dieser E-Mail-Adresse bei { $organisation } an.
mail-passcode-asked-domain = Jemand, vermutlich Sie selbst, meldet sich mit dieser E-Mail-Adresse bei { $organisation } ({ $domain }) an.
mail-passcode-enter = Geben Sie diesen Code auf der Seite ein, die danach fragt:
mail-passcode-lifetime = { $minutes ->
    [one] Er gilt einmal und eine Minute lang.
   *[other] Er gilt einmal und { $minutes } Minuten lang.
}
mail-passcode-ignore = Sie haben keinen Code angefordert? Dann ignorieren Sie diese Nachricht: Ohne den Code kann sich niemand mit Ihrer Adresse anmelden.
mail-passcode-never-tell = Geben Sie den Code niemandem weiter. Niemand wird Sie je anrufen oder Ihnen schreiben, um danach zu fragen.
mail-passcode-origin = Die Seite, die nach dem Code fragt, hat die Adresse { $origin }. Prüfen Sie die Adresse, bevor Sie tippen.
mail-automatic = Diese Nachricht wurde automatisch verschickt; Antworten werden nicht gelesen.
