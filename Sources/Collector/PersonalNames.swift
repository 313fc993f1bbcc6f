import Events

/// What members of an event are personal by their names, whatever they hold.
enum PersonalNames {
  enum Role: Hashable {
    case mail, phone, card
    /// A name, an address of a house, a birthday, a secret.
    case other
    /// The network address of a client.
    case address
    /// A `User-Agent`.
    case userAgent
    /// A description of a browser beside its user agent that tells more than is used.
    case fingerprint

    var removed: Removed {
      switch self {
      case .mail: .mail
      case .phone: .phone
      case .card: .card
      case .other, .address, .userAgent, .fingerprint: .other
      }
    }
  }

  private static let names: [(Role, [String])] = [
    (.mail, ["email", "mail", "emailaddress", "mailaddress", "useremail", "customeremail"]),
    (
      .phone,
      [
        "phone", "phonenumber", "mobile", "mobilephone", "mobilenumber", "tel", "telephone",
        "cellphone", "fax", "whatsapp",
      ]
    ),
    (.card, ["creditcard", "cardnumber", "ccnumber", "cvv", "cvc", "iban"]),
    (
      .other,
      [
        "firstname", "lastname", "fullname", "middlename", "givenname", "familyname", "surname",
        "maidenname", "birthday", "birthdate", "dateofbirth", "dob", "address", "streetaddress",
        "street", "addressline1", "addressline2", "shippingaddress", "billingaddress", "password",
        "passwd", "pwd", "passphrase", "token", "accesstoken", "refreshtoken", "idtoken",
        "authtoken", "apikey", "secret", "clientsecret", "ssn", "socialsecuritynumber",
        "passportnumber", "taxid", "username", "loginname", "login", "authorization",
        "proxyauthorization", "xapikey", "xauthtoken", "sessiontoken", "jwt", "cookie", "setcookie",
      ]
    ),
    (
      .address,
      [
        "ip", "ipaddress", "clientip", "userip", "useripaddress", "remoteaddr", "remoteaddress",
        "remoteip", "xforwardedfor", "ipoverride", "cip", "uip",
      ]
    ),
    (.userAgent, ["useragent", "ua", "rawuseragent", "httpuseragent", "uaoverride"]),
    (.fingerprint, ["uadata", "uafullversionlist"]),
  ]
  /// Of what describes a person.
  private static let ofTraits = ["name", "nickname", "avatar"]
  private static let traits = [
    "traits", "set", "setonce", "personproperties", "userproperties", "usertraits",
  ]

  private static let roles: [UInt64: Role] = {
    var roles: [UInt64: Role] = [:]
    for (role, names) in names { for name in names { roles[hash(name)] = role } }
    return roles
  }()
  private static let traitRoles = Dictionary(
    uniqueKeysWithValues: ofTraits.map { (hash($0), Role.other) })
  private static let traitHashes = Set(traits.map(hash))
  /// What holds data in base 64 in CloudEvents.
  static let bytes = Key("data_base64")

  /// A name without what differs between ways of writing it: `First-Name`, `first_name` and `$firstName`
  /// are one.
  struct Key: Equatable {
    let hash: UInt64
    /// Whether the name itself may have personal data in it.
    let mayHoldData: Bool

    init(_ name: UnsafeRawBufferPointer) {
      var hash = PersonalNames.basis
      var digits = 0
      var hasMark = false
      var hasPlaceholder = false
      for byte in name {
        var letter = byte
        if byte &- UInt8(ascii: "A") <= 25 { letter |= 0x20 }
        if letter &- UInt8(ascii: "a") > 25 {
          guard letter &- UInt8(ascii: "0") <= 9 else {
            if byte == UInt8(ascii: "@") || byte == UInt8(ascii: "%") { hasMark = true }
            if byte == UInt8(ascii: "[") { hasPlaceholder = true }
            continue
          }
          digits &+= 1
        }
        hash = (hash ^ UInt64(letter)) &* PersonalNames.prime
      }
      // `[mail]` in a name says what was taken out of it, and not that the value is one.
      self.hash = hasPlaceholder ? 0 : hash
      mayHoldData = hasMark || digits >= DigitRun.digitsMin
    }

    static func == (a: Key, b: Key) -> Bool { a.hash == b.hash }

    init(_ name: String) {
      var name = name
      self = name.withUTF8 { Key(UnsafeRawBufferPointer($0)) }
    }
  }

  /// Of all names that mean something here, by the last bits of their hashes: most members are none of
  /// them, and that is told by one look.
  private static let mayMean: [UInt64] = {
    var words = [UInt64](repeating: 0, count: 64)
    let all =
      names.flatMap(\.1).map(hash) + ofTraits.map(hash) + traits.map(hash) + [bytes.hash]
    for hash in all { words[Int(hash >> 6 & 63)] |= 1 << (hash & 63) }
    return words
  }()

  /// Of the same names, by their first two letters and their last one: most members are told by these alone.
  private static let letters: [UInt64] = {
    var words = [UInt64](repeating: 0, count: (letterCount * letterCount * letterCount + 63) / 64)
    let all = names.flatMap(\.1) + ofTraits + traits + ["database64"]
    for name in all {
      let bytes = Array(name.utf8)
      // A digit at the end is none of the letters; names with digits are read in full.
      guard let last = bytes.last, let place = place(bytes[0], bytes[1], last) else { continue }
      words[place >> 6] |= 1 << (place & 63)
    }
    return words
  }()
  private static let letterCount = 26

  @inline(__always)
  private static func place(_ first: UInt8, _ second: UInt8, _ last: UInt8) -> Int? {
    let first = Int((first | 0x20) &- UInt8(ascii: "a"))
    let second = Int((second | 0x20) &- UInt8(ascii: "a"))
    let last = Int((last | 0x20) &- UInt8(ascii: "a"))
    guard first < letterCount, second < letterCount, last < letterCount else { return nil }
    return (first &* letterCount &+ second) &* letterCount &+ last
  }

  /// Whether a name, as it is written, is certainly none that means something here, and holds nothing itself. False
  /// where its ``Key`` has to be asked.
  static func isPlain(_ name: UnsafeRawBufferPointer) -> Bool {
    let count = name.count
    // Names of vendors' own members begin with a dollar or an underscore.
    let start = count > 0 && (name[0] == UInt8(ascii: "$") || name[0] == UInt8(ascii: "_")) ? 1 : 0
    guard count >= start &+ 2, count <= 32,
      let place = place(name[start], name[start &+ 1], name[count &- 1])
    else { return false }
    if letters[place &>> 6] & 1 &<< UInt64(place & 63) != 0 { return false }
    var index = 0
    while index < count {
      if hasSign(ByteWord.tail(name, from: index)) { return false }
      index &+= 8
    }
    return true
  }

  /// Whether there is a digit or one of `@%[`, see ``Key``.
  @inline(__always)
  private static func hasSign(_ word: UInt64) -> Bool {
    ByteWord.isDigit(word) | ByteWord.isEqual(word, UInt8(ascii: "@"))
      | ByteWord.isEqual(word, UInt8(ascii: "%")) | ByteWord.isEqual(word, UInt8(ascii: "[")) != 0
  }

  /// False where neither ``role(_:inTraits:)`` nor ``isTraits(_:)`` nor ``bytes`` says anything of it.
  static func mayMean(_ key: Key) -> Bool {
    mayMean[Int(key.hash >> 6 & 63)] & 1 << (key.hash & 63) != 0
  }

  static func role(_ key: Key, inTraits: Bool) -> Role? {
    roles[key.hash] ?? (inTraits ? traitRoles[key.hash] : nil)
  }

  static func isTraits(_ key: Key) -> Bool { traitHashes.contains(key.hash) }

  // FNV-1a of 64 bits. A name that collides is taken for a personal one, at worst.
  fileprivate static let basis: UInt64 = 0xcbf2_9ce4_8422_2325
  fileprivate static let prime: UInt64 = 0x100_0000_01b3

  static func hash(_ name: String) -> UInt64 { Key(name).hash }
}

/// Which members of an event name its person, by protocol.
enum IdentifierNames {
  private static let own: Set<String> = ["uid", "aid", "pid"]
  private static let common: Set<String> = [
    "userId", "anonymousId", "previousId", "user_id", "anonymous_id", "previous_id", "distinct_id",
  ]
  /// Of somebody's device, by any protocol: Apple's and Google's for advertising, makers', installations'.
  private static let devices: Set<String> = [
    "advertisingId", "adTrackingId", "idfa", "idfv", "appleIdfa", "appleIdfv", "androidIdfa",
    "androidId", "openIdfa", "gaid", "aaid", "adid", "oaid", "vendorId", "deviceId",
    "installationId",
    "app_instance_id", "firebase_app_instance_id",
  ]
  private static let byProtocol: [String: Set<String>] = [
    "pixel": own, "beacon": own, "link": own, "redirect": own,
    "segment": common,
    "snowplow": [
      "uid", "duid", "tnuid", "nuid", "userId", "domain_userid", "network_userid",
      "previousSessionUserId",
    ],
    "matomo": ["uid", "cid", "_id"],
    "ga4": ["client_id", "user_id", "app_instance_id"],
    "posthog": [
      "distinct_id", "$distinct_id", "$device_id", "$anon_distinct_id", "$user_id", "alias",
    ],
  ]

  /// - Parameter protocolName: one that is not listed has the usual names of all.
  static func names(of protocolName: some StringProtocol) -> Set<UInt64> {
    hashes[String(protocolName)] ?? others
  }

  private static let hashes = byProtocol.mapValues {
    Set($0.union(devices).map(PersonalNames.hash))
  }
  private static let others = Set(common.union(own).union(devices).map(PersonalNames.hash))

  /// Whether an `id` within a member of this name is a person's or a person's device's, such as
  /// `context.externalIds[0].id`.
  static func isHolder(_ key: PersonalNames.Key) -> Bool {
    PersonalNames.isTraits(key) || holders.contains(key.hash)
  }

  private static let holders = Set(["externalIds", "device"].map(PersonalNames.hash))
  static let id = PersonalNames.Key("id")
}
