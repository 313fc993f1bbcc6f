/// Which words of a comment in a user agent name a program.
///
/// What calls itself `compatible` is a program, and so is what has an address of a page about it or a version:
/// `(compatible; ChatGPT-User/1.0; +https://openai.com/bot)`, `(Applebot/0.1; +http://www.apple.com/go/applebot)`. In a
/// comment on a system the same words are models of devices and toolbars, which tell one person from the next: there
/// only what follows `compatible` counts, and nothing at all beside `MSIE`.
struct UserAgentComment {
  private struct Word {
    var text: String
    var index: Int
    var isFirst: Bool
    var isAfterCompatible: Bool
  }

  private static let systems: Set<String> = [
    "windows", "iphone", "ipad", "ipod", "android", "cros", "macintosh", "linux", "x11", "darwin",
    "mac",
    "tizen", "playstation", "nintendo", "smart-tv", "web0s", "blackberry", "bb10", "symbian",
    "symbianos",
    "series60", "freebsd", "openbsd", "netbsd", "sunos", "harmonyos", "openharmony", "kaios", "wv",
    "tablet",
    "mobile",
  ]
  /// What browsers have in comments beside their systems.
  private static let ordinary: Set<String> = [
    "compatible", "khtml", "like", "gecko", "applewebkit", "webkit", "u", "n", "i", "rv", "trident",
    "konqueror",
    "http", "https", "www", "touch", "win64", "wow64", "x64", "x86_64", "build", "version", "and",
    "the",
    "via", "from", "by", "for", "contact", "mail", "email", "info", "name", "appid",
  ]

  private var words: [Word] = []
  private var isFirst = true
  private var isCompatible = false
  private var isOfSystem = false
  private var isOfExplorer = false
  private var hasAddress = false

  /// - Parameters:
  ///   - word: such as `Nexus` or `ChatGPT-User/1.0`.
  ///   - index: of the word among all.
  mutating func add(_ word: String, at index: Int) {
    let name = word.prefix { $0 != "/" && $0 != ":" }.lowercased()
    if name == "compatible" {
      isCompatible = true
    } else if name == "msie" {
      isOfExplorer = true
    } else if Self.systems.contains(name) {
      isOfSystem = true
    } else if word.contains("://") || name.hasPrefix("www.") {
      hasAddress = true
    } else if !Self.ordinary.contains(name) {
      words.append(
        Word(text: word, index: index, isFirst: isFirst, isAfterCompatible: isCompatible))
    }
    isFirst = false
  }

  mutating func endElement() { isFirst = true }

  /// Places of words that name programs.
  var programs: [Int] {
    if isOfExplorer { return [] }
    return words.compactMap { word in
      guard !isOfSystem || word.isAfterCompatible else { return nil }
      let isNamed =
        word.isFirst && (word.isAfterCompatible || hasAddress) || Self.hasVersion(word.text)
      return isNamed && Self.isName(word.text) ? word.index : nil
    }
  }

  /// `Name/1`, `Name/v1`.
  private static func hasVersion(_ word: String) -> Bool {
    guard let slash = word.firstIndex(of: "/") else { return false }
    let version = word[word.index(after: slash)...].utf8
    return (version.first == UInt8(ascii: "v") ? version.dropFirst() : version[...]).first.map {
      $0 &- UInt8(ascii: "0") <= 9
    } ?? false
  }

  /// Programs have letters in their names, three or more, and nobody's mail address.
  private static func isName(_ word: String) -> Bool {
    let name = word.utf8.prefix { $0 != UInt8(ascii: "/") }
    return name.count { ($0 | 0x20) &- UInt8(ascii: "a") <= 25 } >= 3
      && !word.utf8.contains(UInt8(ascii: "@"))
  }
}
