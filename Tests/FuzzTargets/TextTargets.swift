@testable import Collector
import Events
import HTTPServer

/// Readers of short texts: times, money, positions, base 64, forms, fields of headers, compressed bodies.
enum TextTargets {
  private static let twoMembers: [UInt8] = {
    var bytes = gzip([])
    bytes.append(contentsOf: gzip([1]))
    return bytes
  }()

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "timestamp",
      seeds: [
        "2026-11-01T12:00:00.000Z".bytes, "2026-02-28 23:59:60,1234567+02:00".bytes,
        "0000-01-01".bytes, "9999-12-31T23:59:59.999999-0530".bytes, "2026-11-01t12:00+05".bytes,
      ], words: ["T", "Z", ":", "-", ".", "+02:00", "2024-02-29"], run: timestamp),
    FuzzTarget(
      "money", seeds: ["9.99".bytes, "-0.5".bytes, "1e3".bytes, "12.3456785".bytes, "+.5".bytes],
      words: ["e", "-", ".", "9223372036854.775807", "e-7"],
      regressions: ["9223372036854.7758067".bytes, "-9223372036854.775807".bytes], run: money),
    FuzzTarget(
      "position", seeds: ["1~0.1204~3.88".bytes, "4294967295".bytes], words: ["~", ".", "0"],
      run: position),
    FuzzTarget(
      "base64", seeds: ["aGVsbG8=".bytes, "-_-_".bytes, "YQ".bytes, [0xff, 0, 1]],
      words: ["=", "==", "+", "/", "-", "_"], run: base64),
    FuzzTarget(
      "form",
      seeds: ["k=dev&t=click&cid=a%20b+c&=x&y&&z=%C3%A9".bytes, "a=%&b=%4&c=%zz".bytes],
      words: ["&", "=", "%", "+", "%41", "%C3%A9", "k=", "é"], run: form),
    FuzzTarget(
      "headers",
      seeds: [
        "Basic ZGV2Og==".bytes, "Bearer dev".bytes,
        "a=b; sp=0192f3d2-0000-7000-8000-000000000001; c=d".bytes,
        "application/cloudevents+json; charset=utf-8".bytes, "https://*.example.org:8443/".bytes,
        "https://example.org/a?b=c#d".bytes, "http://[::1]:80".bytes,
      ],
      words: [
        "Basic ", "Bearer ", "sp=", ";", "=", "https://", "http://", "*.", ":443", "[::1]", "/",
        "application/json", "@", "\\",
      ], run: headers),
    FuzzTarget(
      "gzip",
      seeds: [
        gzip(#"{"batch":[]}"#.bytes), gzip([UInt8](repeating: 0x61, count: 3000)),
        [0x78, 0x9c, 0x4b, 0x04, 0x00, 0x00, 0x62, 0x00, 0x62], twoMembers,
      ], words: ["\u{1f}", "\u{8}"], run: compressed),
  ]

  @Sendable private static func timestamp(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let time = Timestamp.parse(input) else { return }
    try BrokenLaw.unless((Timestamp.min...Timestamp.max).contains(time), "a time is in range")
    try BrokenLaw.unless(Timestamp.parse(Timestamp.format(time)) == time, "a time comes back")
    try BrokenLaw.unless(Timestamp.parse(text(input)) == time, "as text it is the same time")
  }

  @Sendable private static func money(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let amount = Money.micros(input) else { return }
    try BrokenLaw.unless(Money.micros(Money.text(amount)) == amount, "an amount comes back")
    guard let near = Double(text(input)), near.magnitude < 1e12 else { return }
    let difference = (Double(amount) / 1e6 - near).magnitude
    try BrokenLaw.unless(difference <= 1e-6 + near.magnitude * 1e-12, "an amount is the number")
  }

  @Sendable private static func position(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let position = Position(text(input)) else { return }
    try BrokenLaw.unless(Position(position.description) == position, "a position comes back")
    try BrokenLaw.unless(position.covers(position), "a position covers itself")
  }

  @Sendable private static func base64(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let encoded = Base64.encode(input)
    try BrokenLaw.unless(Base64.decode(encoded.utf8) == Array(input), "any bytes come back")
    let web = encoded.utf8.compactMap { (byte: UInt8) -> UInt8? in
      switch byte {
      case UInt8(ascii: "="): nil
      case UInt8(ascii: "+"): UInt8(ascii: "-")
      case UInt8(ascii: "/"): UInt8(ascii: "_")
      default: byte
      }
    }
    try BrokenLaw.unless(LooseBase64.decode(web) == Array(input), "also in the alphabet of URLs")
    guard let bytes = Base64.decode(input) else { return }
    try BrokenLaw.unless(Base64.encode(bytes).utf8.elementsEqual(input), "one text for any bytes")
    try BrokenLaw.unless(LooseBase64.decode(input) == bytes, "what is strict is loose, too")
  }

  @Sendable private static func form(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    var scanner = QueryScanner()
    var end = 0
    while let field = scanner.next(in: input.bytes) {
      try BrokenLaw.unless(
        field.name.lowerBound >= end && field.name.upperBound <= field.value.lowerBound
          && field.value.upperBound <= input.count, "fields stand one behind the other")
      end = field.value.upperBound
      var decoded: [UInt8] = []
      if PercentEncoding.decode(field.value, in: input.bytes, to: &decoded) {
        try BrokenLaw.unless(decoded.count <= field.value.count, "decoding makes nothing longer")
      }
    }
    let fields = TextFields(form: input)
    for field in fields.all {
      try BrokenLaw.unless(
        fields.all.last { $0.name == field.name }?.value == fields[field.name], "the last counts")
    }
    _ = QueryField.text("k", in: input)
    _ = HTTPRequest(method: .get, path: "/", query: text(input)).queryFields()
    let mended = MatomoSecret.removed(from: Array(input))
    let secret = mended.withUnsafeBytes { TextFields(form: $0)[MatomoSecret.field] }
    try BrokenLaw.unless(secret.isEmpty, "a secret that was taken out is not there")
  }

  @Sendable private static func headers(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let text = text(input)
    _ = BasicAuthorization.writeKey(text)
    _ = WriteKeyName.bearer(text)
    _ = MediaType(text).isJSON
    if let id = SnowplowCookie.id(in: text) {
      try BrokenLaw.unless(SnowplowCookie.id(in: "sp=\(id)") == id, "a cookie comes back")
    }
    if let origin = OriginRule.normalized(text) {
      try BrokenLaw.unless(OriginRule.normalized(origin) == origin, "an origin is normal once")
      let isOne = !origin.contains("*")
      try BrokenLaw.unless(!isOne || OriginRule.allows(origin, [origin]), "an origin allows itself")
    }
    _ = OriginRule.allows(text, ["https://*.example.org", "https://www.example.org"])
    if let destination = RedirectDestination(text) {
      try BrokenLaw.unless(
        destination.location.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f },
        "what is answered is ASCII without white space")
      try BrokenLaw.unless(
        RedirectDestination(destination.location)?.host == destination.host,
        "what is answered leads to the same host")
    }
    _ = RedirectPolicy(signer: nil, hosts: ["*.example.org"]).allows(host: text)
  }

  @Sendable private static func compressed(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let bytesMax = 1 << 16
    do throws(InflateError) {
      let output = try inflate(input, maxBytes: bytesMax)
      try check(output.count <= bytesMax)
    } catch {
      // Whatever is wrong with it, it was not taken.
    }
    // Compressing costs more than the reading itself.
    guard input.count & 3 == 0 else { return }
    let packed = gzip(Array(input))
    do throws(InflateError) {
      let output = try packed.span.bytes.withUnsafeBytes { bytes throws(InflateError) in
        try inflate(bytes, maxBytes: bytesMax)
      }
      try check(output.elementsEqual(input))
    } catch {
      throw BrokenLaw("what was compressed can be read: \(error)")
    }
  }

  private static func check(_ holds: Bool) throws(InflateError) {
    precondition(holds, "inflated bytes are within the limit and what was compressed")
  }
}
