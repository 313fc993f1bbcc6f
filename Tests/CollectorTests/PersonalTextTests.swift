@testable import Collector
import Testing

@Suite("Personal data by its form")
struct PersonalTextTests {
  @Test(
    "Mail addresses, phone numbers and card numbers are found in any text",
    arguments: [
      ("ada@example.org", "[mail]"),
      ("Write to Ada.Love+lace@mail.example.co.uk.", "Write to [mail]."),
      ("mailto:ada@example.org?subject=x", "mailto:[mail]?subject=x"),
      ("https://a.example/?mail=ada%40example.org&x=1", "https://a.example/?mail=[mail]&x=1"),
      ("https://a.example/?u=%3Fm%3Dada%2540example.org", "https://a.example/?u=%3Fm%3D[mail]"),
      ("jörg@bücher.example", "[mail]"),
      ("a@b.org,c@d.org", "[mail],[mail]"),
      ("ada@example.org+442079460958", "[mail][phone]"),
      ("+49 170 1234567", "[phone]"),
      ("+4917012345678", "[phone]"),
      // Its digits have the form of a Visa card's.
      ("+4915112345678", "[phone]"), ("a=+4915112345678&b", "a=[phone]&b"),
      ("q=x+4915112345678", "q=x+[card]"), ("0815-4711-12", "[phone]"),
      ("call +1 (555) 234-5678 now", "call [phone] now"),
      ("tel=%2B49%20170%201234567&x", "tel=[phone]&x"),
      ("tel=%2B49+170+1234567", "tel=[phone]"),
      ("030 / 1234567", "[phone]"),
      ("(030) 123 45 67", "[phone]"),
      ("0170-1234567", "[phone]"),
      ("01 23 45 67 89", "[phone]"),
      ("020 7946 0958", "[phone]"),
      ("00 49 30 123456", "[phone]"),
      ("555-234-5678", "[phone]"),
      ("(555) 234-5678", "[phone]"),
      ("1.555.234.5678", "[phone]"),
      ("612 34 56 78", "[phone]"),
      ("98765 43210", "[phone]"),
      ("138 1234 5678", "[phone]"),
      ("(11) 91234-5678", "[phone]"),
      ("+49 170 1234567 2026-01-01", "[phone] 2026-01-01"),
      // As address books copy them, with marks of direction around.
      ("\u{202a}(555)\u{a0}564\u{2011}8583\u{202c}", "\u{202a}[phone]\u{202c}"),
      ("+49\u{a0}170\u{a0}1234567", "[phone]"),
      ("+33\u{202f}6\u{202f}12\u{202f}34\u{202f}56\u{202f}78", "[phone]"),
      ("030\u{2009}/\u{2009}1234567", "[phone]"), ("0170\u{2010}1234567", "[phone]"),
      ("4111\u{a0}1111\u{a0}1111\u{a0}1111", "[card]"),
      ("4111\u{2011}1111\u{2011}1111\u{2011}1111 12/27", "[card] 12/27"),
      ("4111111111111111", "[card]"),
      ("4111 1111 1111 1111", "[card]"),
      ("card 4111-1111-1111-1111 12/27", "card [card] 12/27"),
      ("5555555555554444", "[card]"),
      ("3782 822463 10005", "[card]"),
      ("6011000990139424", "[card]"),
      ("n=4111+1111+1111+1111", "n=[card]"),
    ])
  func found(_ text: String, _ expected: String) {
    #expect(PersonalText.removed(from: text) == expected)
    #expect(PersonalText.removed(from: expected) == expected)
  }

  @Test(
    "Ids, times, versions and names stay",
    arguments: [
      "1767225600", "1767225600000", "1767225600000000", "2026-11-23T09:00:00.000Z",
      "2026-11-23 09:00:00", "2026-11-23T09:00:00+01:00", "01.02.2026", "01/02/2026",
      "01-02-2026 10:30", "0192f3d2-0000-7000-8000-000000000001",
      "01923132-0000-7000-8000-000000000001", "00000000-0000-0000-0000-000000000000",
      "0000-00-00", "10.20.30.40", "192.168.100.200", "2001:db8::1", "5551234567",
      "0123456789", "912 345 678", "1 234 567 890", "12345678.12345678", "0.1234567890",
      "4111111111111112", "1234567890123456", "41111111111111110000", "x4111111111111111",
      "order-0170-1234567", "v01.23.45.67.89-beta", "react@18.2.0", "logo@2x.png",
      "@handle", "a @ b.org", "user@localhost", "100% @ home", "post-1", "spring",
      "/2024/05/some-title-0123", "0123-4567-89ab", "50%40", "%zz%4", "GA1.1.123456789.1767225600",
      "1914\u{2013}1918", "0900\u{2013}1700", "1\u{a0}234\u{a0}567\u{a0}890",
      "\u{c3}\u{a0}12345678",
      "1.123456789", "ISSN 0317-8471", "order 100-2000-3000", "9780306406157",
      "https://a.example/p/20260101123456?x=1",
    ])
  func stays(_ text: String) {
    #expect(PersonalText.removed(from: text) == text)
  }

  @Test("A text in which each removal shows the next goes as a whole")
  func hidden() {
    func chain(_ links: Int) -> String {
      (0..<links).reduce("a@b.org") { text, _ in text + "+442079460958" }
    }
    #expect(PersonalText.removed(from: chain(1)) == "[mail][phone]")
    for links in 2..<40 {
      let removed = PersonalText.removed(from: chain(links))
      #expect(!removed.contains("4420"), "\(removed)")
      #expect(PersonalText.removed(from: removed) == removed)
    }
  }

  @Test(
    "The first look at digits passes over nothing that the second one finds",
    arguments: UInt64(1)...20)
  func firstLook(seed: UInt64) {
    var random = SplitMix(seed: seed)
    let parts = [
      "0", "00", "1", "2", "30", "49", "170", "555", "2026", "4111", "1234", "91234", "98765",
      "4111111111111111", "1767225600", " ", "-", ".", "/", " - ", "(", ")", "+", ") ", "a", "_",
      "T", ":", ",", "\u{a0}", "\u{2011}", "\u{2013}",
    ]
    for _ in 0..<5000 {
      let text = (0..<1 + random.next() % 9).map { _ in
        parts[Int(random.next() % UInt64(parts.count))]
      }.joined()
      Array(text.utf8).withUnsafeBytes { bytes in
        for index in bytes.indices where bytes[index] &- UInt8(ascii: "0") <= 9 {
          guard !DigitRun.extent(bytes, from: index).mayMean(in: bytes, from: index) else {
            continue
          }
          var findings: [PersonalText.Finding] = []
          let run = DigitRun(bytes, from: index)
          if run.digitCount >= DigitRun.digitsMin { run.find(in: bytes, &findings) }
          #expect(findings.isEmpty, "\(text) from \(index)")
        }
      }
    }
  }

  @Test(
    "The first look at a text passes over nothing that reading it finds",
    arguments: UInt64(1)...20)
  func firstLookAtText(seed: UInt64) {
    var random = SplitMix(seed: seed)
    let parts = [
      "0", "1", "2", "30", "49", "170", "555", "2026", "4111", "1234567", "91234", "abcdef", "e",
      " ", "-", ".", "/", "(", ")", "+", "a", "T", ":", "Z", "@", "%40", "%2540", ".org", "ä",
      "2026-11-23T", "09:00:00", "00.123", "0192f3d2-0000-7000-8000-000000000001", "01234567-",
    ]
    func check(_ text: String) {
      Array(text.utf8).withUnsafeBytes { bytes in
        #expect(PersonalText.find(in: bytes) == PersonalText.read(bytes), "\(text)")
      }
    }
    for _ in 0..<400 {
      check(
        (0..<1 + random.next() % 9).map { _ in parts[Int(random.next() % UInt64(parts.count))] }
          .joined())
      // One sign of an instant or a UUID is another one.
      for form in [
        "2026-11-23T09:00:00Z", "2026-11-23T09:00:00.123Z", "0192f3d2-0000-7000-8000-000000000001",
        "01701234-5678-7000-8000-000000000001",
      ] {
        var signs = Array(form.utf8)
        let place = Int(random.next() % UInt64(signs.count))
        let other = parts[Int(random.next() % UInt64(parts.count))].utf8.first ?? 0
        signs[place] = other
        check(String(decoding: signs, as: UTF8.self))
      }
    }
  }

  @Test(
    "The first look at a name passes over none that means something or holds something",
    arguments: UInt64(1)...20)
  func firstLookAtNames(seed: UInt64) {
    var random = SplitMix(seed: seed)
    let parts = [
      "e", "mail", "first", "name", "phone", "number", "ip", "set", "once", "user", "agent", "ua",
      "campaign", "id", "context", "Traits", "E", "address", "line", "1", "_", "-", "$", ".", "@",
      "%", "[", "ä", "data", "base64", "properties", "p", "s",
    ]
    for _ in 0..<2000 {
      let name = (0..<1 + random.next() % 5).map { _ in
        parts[Int(random.next() % UInt64(parts.count))]
      }.joined()
      Array(name.utf8).withUnsafeBytes { bytes in
        guard PersonalNames.isPlain(bytes) else { return }
        let key = PersonalNames.Key(bytes)
        let means =
          PersonalNames.role(key, inTraits: true) != nil || PersonalNames.isTraits(key)
          || key == PersonalNames.bytes
        #expect(!means && !key.mayHoldData, "\(name)")
      }
    }
  }

  @Test(
    "Addresses are cut to their network",
    arguments: [
      ("203.0.113.9", "203.0.113.0"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
      ("2001:db8::1", "2001:db8::"), ("::1", "::"), ("::ffff:203.0.113.9", "203.0.113.0"),
      ("fe80::1%eth0", "fe80::"), ("203.0.113.9, 10.1.2.3", "203.0.113.0, 10.1.2.0"),
      ("somewhere", nil), ("203.0.113", nil), ("1.2.3.4:80", nil), ("", nil),
    ])
  func addresses(_ text: String, _ expected: String?) {
    #expect(NetworkAddress.truncated(text) == expected)
  }
}
