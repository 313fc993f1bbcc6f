/// What is kept of a `User-Agent`: the family and major version of its browser, the family of its system, the
/// class of its device, and marks by which programs can be told from people. Nothing that tells one
/// person from the next: no models of phones, no minor versions.
///
/// Its ``label`` is part of the log, for ever, so that new rules on bots can judge old events:
///
///     Chrome 126/Windows/desktop
///     Googlebot 2/other/bot/Googlebot
///     Chrome 126/Linux/desktop/HeadlessChrome
public struct Agent: Hashable, Sendable {
  public enum Device: String, CaseIterable, Sendable {
    case desktop, mobile, tablet, bot, other
  }

  /// Such as `Firefox`; of a program that is no browser its own name.
  public private(set) var browser = "other"
  /// 0 where unknown.
  public private(set) var major = 0
  /// Such as `Android`.
  public private(set) var system = "other"
  public private(set) var device = Device.other
  /// Names of programs that an ordinary browser does not have in it, and what else was noticed of a request.
  public private(set) var marks: [String] = []

  private static let marksMax = 6
  private static let markBytesMax = 24

  /// Families by the product that tells them, the more special ones first.
  private static let browsers: [(product: String, family: String)] = [
    ("Edg", "Edge"), ("EdgA", "Edge"), ("EdgiOS", "Edge"), ("Edge", "Edge"), ("OPR", "Opera"),
    ("OPT", "Opera"), ("Opera", "Opera"), ("SamsungBrowser", "Samsung Internet"),
    ("YaBrowser", "Yandex"), ("Vivaldi", "Vivaldi"), ("UCBrowser", "UC Browser"),
    ("DuckDuckGo", "DuckDuckGo"), ("FxiOS", "Firefox"), ("Firefox", "Firefox"),
    ("CriOS", "Chrome"), ("HeadlessChrome", "Chrome"), ("Chrome", "Chrome"),
    ("Chromium", "Chrome"),
  ]
  /// Products of ordinary browsers; any other is a mark.
  private static let ordinary = Set(
    browsers.map(\.product).filter { $0 != "HeadlessChrome" } + [
      "Mozilla", "AppleWebKit", "Safari", "Version", "Mobile", "Gecko", "KHTML", "like", "Presto",
      "Trident", "MSIE", "Mobile Safari", "Brave", "Ubuntu", "Fedora", "GSA", "rv",
    ])
  /// What makes any word in a comment a mark, in lower case; see also ``UserAgentComment``.
  private static let hints = [
    "crawl", "spider", "slurp", "proxy", "preview", "scan", "fetch", "monitor", "headless",
    "lighthouse", "archive", "externalhit", "phantom", "playwright", "puppeteer", "selenium",
    "netcraft", "mimecast", "virustotal", "barracuda", "hetrix", "ggpht", "proofpoint", "symantec",
    "safelinks",
  ]
  /// What makes a device one of a bot, besides ``BotRules/Pattern/endsWord(_:in:)``.
  private static let botHints = ["crawl", "spider", "slurp", "externalhit"]

  /// - Parameter userAgent: also what this made of one before: then it is the same again.
  public init(_ userAgent: String) {
    if let agent = Agent(label: userAgent), agent.isPlausible, agent.label == userAgent {
      self = agent
      return
    }
    // What is longer is nobody's browser.
    let text = String(userAgent.prefix(512))
    guard !text.isEmpty else {
      marks = ["none"]
      return
    }
    var reader = Reader(text)
    reader.read()
    system = Self.system(text)
    if let found = Self.browsers.lazy.compactMap({ known in
      reader.products.first { $0.name == known.product }.map { (known.family, $0.major) }
    }).first {
      (browser, major) = found
    } else if text.contains("MSIE ") || text.contains("Trident/") {
      browser = "Internet Explorer"
      major = reader.products.first { $0.name == "MSIE" }?.major ?? 11
    } else if let version = reader.products.first(where: { $0.name == "Version" }),
      reader.products.contains(where: { $0.name == "Safari" })
    {
      (browser, major) = ("Safari", version.major)
    } else if text.contains("AppleWebKit/") {
      browser = "WebKit"
    } else if let first = reader.products.first, !Self.mark(first.name).isEmpty {
      (browser, major) = (Self.mark(first.name), first.major)
    }
    takeMarks(reader, text)
    device = Self.device(text, system: system, marks: marks)
    if device == .bot, let name = marks.first(where: Self.isBot) {
      browser = name
      major = (reader.products + reader.words).first { Self.mark($0.name) == name }?.major ?? 0
    }
  }

  private mutating func takeMarks(_ reader: Reader, _ text: String) {
    if text == "Mozilla/5.0" || text == "Mozilla/4.0" { add("bare") }
    for product in reader.products where !Self.ordinary.contains(product.name) {
      add(product.name)
    }
    for word in reader.words where word.namesProgram || Self.isHint(word.name) {
      // `s~virustotalcloud` of Google's App Engine.
      add(word.name.split(separator: "~").last.map(String.init) ?? "")
    }
  }

  private static func isHint(_ word: String) -> Bool {
    let word = word.lowercased()
    return hints.contains { word.contains($0) } || isNamedBot(word)
  }

  /// - Parameter word: in lower case.
  private static func isNamedBot(_ word: String) -> Bool {
    // A maker of phones.
    !word.hasPrefix("cubot") && BotRules.Pattern.endsWord("bot", in: word)
  }

  /// Adds something that was noticed of a request; see ``marks``.
  public mutating func add(_ mark: String) {
    let mark = Self.mark(mark)
    guard !mark.isEmpty, marks.count < Self.marksMax, !marks.contains(mark) else { return }
    marks.append(mark)
  }

  // MARK: Text

  /// Without the marks, such as `Chrome 126/Windows/desktop`.
  public var summary: String {
    "\(browser)\(major > 0 ? " \(major)" : "")/\(system)/\(device.rawValue)"
  }

  public var label: String {
    marks.isEmpty ? summary : summary + "/" + marks.joined(separator: ",")
  }

  /// - Returns: nil where the text is no label.
  public init?(label: String) {
    let parts = label.split(separator: "/", omittingEmptySubsequences: false)
    guard (3...4).contains(parts.count), let device = Device(rawValue: String(parts[2])) else {
      return nil
    }
    let words = parts[0].split(separator: " ")
    if words.count > 1, let last = words.last, let number = Int(last) {
      browser = words.dropLast().joined(separator: " ")
      major = number
    } else {
      browser = String(parts[0])
    }
    system = String(parts[1])
    self.device = device
    if parts.count == 4 { marks = parts[3].split(separator: ",").map(String.init) }
  }

  /// Whether it may be one that was read from a user agent, and holds nothing else.
  private var isPlausible: Bool {
    let isKnown =
      Self.browsers.contains { $0.family == browser } || browser == "Internet Explorer"
      || !browser.isEmpty && Self.mark(browser) == browser
    return isKnown && (system == "other" || Self.systems.contains { $0.system == system })
      && marks.count <= Self.marksMax && marks.allSatisfy { !$0.isEmpty && Self.mark($0) == $0 }
  }

  /// Letters, digits and `-_.` alone, and not many: a name, and nothing that somebody could hide in one. A
  /// mail address is none, not even in parts.
  private static func mark(_ text: String) -> String {
    let bytes = text.utf8.prefix(markBytesMax)
    var digits = 0
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digits += 1
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
        break
      default: return ""
      }
    }
    // Long numbers are somebody's.
    return digits > 4 ? "" : String(decoding: bytes, as: UTF8.self)
  }

  private static func isBot(_ mark: String) -> Bool {
    let mark = mark.lowercased()
    return isNamedBot(mark) || botHints.contains { mark.contains($0) }
  }

  // MARK: System and device

  /// Systems by what tells them, the more special ones first.
  private static let systems: [(hint: String, system: String)] = [
    ("Windows", "Windows"), ("iPhone", "iOS"), ("iPad", "iOS"), ("iPod", "iOS"),
    ("Android", "Android"), ("CrOS", "ChromeOS"), ("Mac OS X", "macOS"), ("Macintosh", "macOS"),
    ("Linux", "Linux"), ("X11", "Linux"), ("Darwin", "Darwin"),
  ]

  private static func system(_ text: String) -> String {
    systems.first { text.contains($0.hint) }?.system ?? "other"
  }

  private static func device(_ text: String, system: String, marks: [String]) -> Device {
    if marks.contains(where: isBot) { return .bot }
    switch system {
    case "iOS": return text.contains("iPad") ? .tablet : .mobile
    case "Android": return text.contains("Mobile") ? .mobile : .tablet
    case "Windows": return text.contains("Phone") ? .mobile : .desktop
    case "macOS", "ChromeOS": return .desktop
    case "Linux": return text.hasPrefix("Mozilla/") ? .desktop : .other
    default: return .other
    }
  }
}

/// The products of a user agent (RFC 9110 section 10.1.5), and the words of its comments.
private struct Reader {
  struct Product {
    var name: String
    var major: Int
    /// Of a word in a comment: see ``UserAgentComment``.
    var namesProgram = false
  }

  private let text: String
  var products: [Product] = []
  var words: [Product] = []

  init(_ text: String) { self.text = text }

  private mutating func mark(_ comment: UserAgentComment) {
    for index in comment.programs { words[index].namesProgram = true }
  }

  mutating func read() {
    var depth = 0
    var word = ""
    var comment = UserAgentComment()
    func finished(_ word: String) -> Product? {
      let parts = word.split(separator: "/", maxSplits: 1)
      guard let name = parts.first, !name.isEmpty else { return nil }
      let version = parts.count > 1 ? parts[1] : ""
      return Product(name: String(name), major: Int(version.prefix { $0.isNumber }) ?? 0)
    }
    for character in text + " " {
      switch character {
      case "(", ")", " ", ";", ",":
        if let product = finished(word), products.count + words.count < 64 {
          if depth > 0 {
            comment.add(word, at: words.count)
            words.append(product)
          } else {
            products.append(product)
          }
        }
        if character == ";" || character == "," { comment.endElement() }
        if character == ")", depth == 1 {
          mark(comment)
          comment = UserAgentComment()
        }
        word = ""
        if character == "(" { depth += 1 }
        if character == ")" { depth = max(0, depth - 1) }
      default: word.append(character)
      }
    }
    mark(comment)
    // `MSIE 9.0` has no slash.
    for (index, word) in words.enumerated() where word.name == "MSIE" && index + 1 < words.count {
      let major = Int(words[index + 1].name.prefix { $0.isNumber }) ?? 0
      products.append(Product(name: "MSIE", major: major))
    }
  }
}
