import Events

/// Write keys as JSON: the file of the key store, and the requests and answers of its API.
///
///     {"version":1,"keys":[
///     {"id":"k_7f3qz2mb","sha256":"…64 digits…","site":"default","source":"web",
///      "created_at":"2026-11-23T09:00:00.000Z","policy":{"address":"truncate",…}}
///     ]}
enum KeyFormat {
  private static let version = 1

  // MARK: The file

  /// - Throws: ``KeyFormatError`` at the first thing that is wrong.
  static func keys(_ bytes: [UInt8]) throws(KeyFormatError) -> [StoredKey] {
    try KeyReader.read(bytes) { reader throws(KeyFormatError) in
      var keys: [StoredKey]?
      var isThisVersion = false
      try reader.object(["version", "keys"]) { reader, name throws(KeyFormatError) in
        if name == "version" {
          _ = try reader.integer(version...version)
          isThisVersion = true
        } else {
          keys = try Self.keys(&reader)
        }
      }
      guard isThisVersion, let keys else {
        throw reader.failure("the members version and keys are expected")
      }
      return keys
    }
  }

  private static func keys(_ reader: inout KeyReader) throws(KeyFormatError) -> [StoredKey] {
    var keys: [StoredKey] = []
    var ids: Set<String> = []
    try reader.array(KeyStore.keysMax) { reader throws(KeyFormatError) in
      let key = try storedKey(&reader)
      guard ids.insert(key.id).inserted else { throw reader.failure("the id is there twice") }
      keys.append(key)
    }
    return keys
  }

  private static func storedKey(_ reader: inout KeyReader) throws(KeyFormatError) -> StoredKey {
    var id: String?
    var hash: [UInt8]?
    var site: String?
    var source: String?
    var createdAt: Int64?
    var expiresAt: Int64?
    var revokedAt: Int64?
    var policy = KeyPolicy()
    let members = [
      "id", "sha256", "site", "source", "created_at", "expires_at", "revoked_at", "policy",
    ]
    try reader.object(members) { reader, name throws(KeyFormatError) in
      switch name {
      case "id": id = try reader.printable()
      case "sha256": hash = try Self.hash(&reader)
      case "site": site = try reader.printable()
      case "source": source = try reader.printable()
      case "created_at": createdAt = try reader.time()
      case "expires_at": expiresAt = try reader.time()
      case "revoked_at": revokedAt = try reader.time()
      default: policy = try Self.policy(&reader).applied(to: KeyPolicy())
      }
    }
    guard let id, let hash, let site, let source, let createdAt else {
      throw reader.failure("the members id, sha256, site, source and created_at are expected")
    }
    return StoredKey(
      id: id, hash: hash, site: site, source: source, policy: policy, createdAt: createdAt,
      expiresAt: expiresAt, revokedAt: revokedAt)
  }

  private static func hash(_ reader: inout KeyReader) throws(KeyFormatError) -> [UInt8] {
    let text = Array(try reader.string().utf8)
    var hash: [UInt8] = []
    var index = 0
    while index + 1 < text.count, let high = digit(text[index]), let low = digit(text[index + 1]) {
      hash.append(high << 4 | low)
      index += 2
    }
    guard text.count == 64, hash.count == 32 else {
      throw reader.failure("64 hexadecimal digits in lower case are expected")
    }
    return hash
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  /// A key a line, so that people can read and compare the file.
  static func file(_ keys: [StoredKey]) -> [UInt8] {
    var bytes = Array(#"{"version":\#(version),"keys":["#.utf8)
    for (index, key) in keys.enumerated() {
      bytes += Array((index > 0 ? ",\n" : "\n").utf8)
      var json = JSONWriter()
      json.beginObject()
      json.key("id")
      json.string(key.id)
      json.key("sha256")
      json.string(hexadecimal(key.hash))
      write(key, to: &json)
      json.endObject()
      bytes += json.bytes
    }
    return bytes + Array("\n]}\n".utf8)
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func write(_ key: StoredKey, to json: inout JSONWriter) {
    json.key("site")
    json.string(key.site)
    json.key("source")
    json.string(key.source)
    json.key("created_at")
    json.string(Timestamp.format(key.createdAt))
    for (name, time) in [("expires_at", key.expiresAt), ("revoked_at", key.revokedAt)] {
      guard let time else { continue }
      json.key(name)
      json.string(Timestamp.format(time))
    }
    json.key("policy")
    write(key.policy, to: &json)
  }

  // MARK: Policies

  private static func policy(
    _ reader: inout KeyReader
  ) throws(KeyFormatError) -> KeyPolicyChange {
    var policy = KeyPolicyChange()
    let members = [
      "origins", "events_per_second_max", "address", "personal_data", "identifiers", "honours_dnt",
      "honours_gpc",
    ]
    try reader.object(members) { reader, name throws(KeyFormatError) in
      switch name {
      case "origins":
        var origins: [String] = []
        if try reader.skipNull() {
          policy.origins = []
          return
        }
        try reader.array(OriginRule.countMax) { reader throws(KeyFormatError) in
          guard let origin = OriginRule.normalized(try reader.string()) else {
            throw reader.failure("an origin such as https://www.example.org is expected")
          }
          if !origins.contains(origin) { origins.append(origin) }
        }
        policy.origins = origins
      case "events_per_second_max":
        if try reader.skipNull() {
          policy.liftsRate = true
        } else {
          policy.eventsPerSecondMax = try reader.integer(RateLimit.eventsPerSecondRange)
        }
      case "address": policy.address = try reader.choice(KeyPolicy.Address.self)
      case "personal_data": policy.personalData = try reader.choice(KeyPolicy.PersonalData.self)
      case "identifiers": policy.identifiers = try reader.choice(KeyPolicy.Identifiers.self)
      case "honours_dnt": policy.honoursDoNotTrack = try reader.bool()
      default: policy.honoursGlobalPrivacyControl = try reader.bool()
      }
    }
    return policy
  }

  private static func write(_ policy: KeyPolicy, to json: inout JSONWriter) {
    json.beginObject()
    json.key("origins")
    json.beginArray()
    for origin in policy.origins { json.string(origin) }
    json.endArray()
    if let rate = policy.eventsPerSecondMax {
      json.key("events_per_second_max")
      json.integer(rate)
    }
    json.key("address")
    json.string(policy.address.rawValue)
    json.key("personal_data")
    json.string(policy.personalData.rawValue)
    json.key("identifiers")
    json.string(policy.identifiers.rawValue)
    json.key("honours_dnt")
    json.bool(policy.honoursDoNotTrack)
    json.key("honours_gpc")
    json.bool(policy.honoursGlobalPrivacyControl)
    json.endObject()
  }

  // MARK: Requests and answers

  /// `{"policy":{…}}`, with the members that are to change; `null` takes a limit or a list of origins away.
  static func change(_ bytes: [UInt8]) throws(KeyFormatError) -> KeyPolicyChange {
    try KeyReader.read(bytes) { reader throws(KeyFormatError) in
      var change = KeyPolicyChange()
      try reader.object(["policy"]) { reader, _ throws(KeyFormatError) in
        change = try Self.policy(&reader)
      }
      return change
    }
  }

  /// `{"site":…,"source":…,"value":…,"policy":{…}}`, of which only the site must be there.
  static func draft(_ bytes: [UInt8]) throws(KeyFormatError) -> KeyDraft {
    try KeyReader.read(bytes) { reader throws(KeyFormatError) in
      var draft = KeyDraft(site: "")
      try reader.object(["value", "site", "source", "policy"]) {
        reader, name throws(KeyFormatError) in
        switch name {
        case "value": draft.value = try reader.printable()
        case "site": draft.site = try reader.printable()
        case "source": draft.source = try reader.printable()
        default: draft.policy = try Self.policy(&reader).applied(to: KeyPolicy())
        }
      }
      guard !draft.site.isEmpty else { throw reader.failure("the member site is expected") }
      return draft
    }
  }

  /// `{"overlap_seconds":86400}`, or nothing.
  ///
  /// - Returns: in microseconds.
  static func overlap(_ bytes: [UInt8]) throws(KeyFormatError) -> Int64 {
    guard !bytes.isEmpty else { return KeyStore.overlapMicrosDefault }
    return try KeyReader.read(bytes) { reader throws(KeyFormatError) in
      var overlap = KeyStore.overlapMicrosDefault
      try reader.object(["overlap_seconds"]) { reader, _ throws(KeyFormatError) in
        let most = Int(KeyStore.overlapMicrosMax / 1_000_000)
        overlap = Int64(try reader.integer(0...most)) * 1_000_000
      }
      return overlap
    }
  }

  /// A key as people and programs see it: without its hash, of which short keys could be guessed.
  ///
  /// - Parameter value: the key itself where it was just made.
  static func describe(
    _ key: StoredKey, value: String? = nil, now: Int64, to json: inout JSONWriter
  ) {
    json.beginObject()
    if let value {
      json.key("key")
      json.string(value)
    }
    json.key("id")
    json.string(key.id)
    json.key("state")
    json.string(key.state(at: now).rawValue)
    write(key, to: &json)
    json.endObject()
  }
}

extension StoredKey {
  /// The key as one JSON object; see ``KeyFormat``.
  public func json(now: Int64) -> [UInt8] {
    var json = JSONWriter()
    KeyFormat.describe(self, now: now, to: &json)
    return json.bytes
  }

  /// All of them as one JSON object.
  public static func json(_ keys: [StoredKey], now: Int64) -> [UInt8] {
    var json = JSONWriter(reserving: 64 + 320 * keys.count)
    json.beginObject()
    json.key("keys")
    json.beginArray()
    for key in keys { KeyFormat.describe(key, now: now, to: &json) }
    json.endArray()
    json.endObject()
    return json.bytes
  }
}

extension NewKey {
  /// As ``StoredKey/json(now:)``, with the key itself.
  public func json(now: Int64) -> [UInt8] {
    var json = JSONWriter()
    KeyFormat.describe(stored, value: key, now: now, to: &json)
    return json.bytes
  }
}
