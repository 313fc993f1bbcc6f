import Testing

@Suite("Files")
struct FileTests {
  private static let linesMax = 500

  @Test("no source file has more than 500 lines")
  func lengths() throws {
    for file in try Repository.files(below: "Sources", ending: ".swift") {
      #expect(
        file.lines.count <= Self.linesMax,
        "\(file) has \(file.lines.count) lines; give a part of it a file of its own")
    }
  }

  @Test("each source file is named after something that it declares or extends")
  func names() throws {
    let keywords = [
      "struct", "class", "enum", "actor", "protocol", "extension", "typealias", "func", "let",
    ]
    for file in try Repository.files(below: "Sources", ending: ".swift") {
      let name = file.name.dropLast(".swift".count)
      let words = file.code
        .split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
      let declared = zip(words, words.dropFirst())
        .filter { keywords.contains(String($0.0)) }
        .flatMap { Self.parts($0.1) }
      // A word in common is enough: extensions are split over files by what they are about.
      #expect(
        !Set(Self.parts(name)).isDisjoint(with: declared),
        "\(file) declares nothing with a name like its own")
    }
  }

  /// The words of a name in camel case, in lower case and the singular: `NATSInboxes` has nat and
  /// inboxe.
  private static func parts(_ name: Substring) -> [String] {
    name.matches(of: /[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+/).map { match in
      let word = match.0.lowercased()
      return word.hasSuffix("s") ? String(word.dropLast()) : word
    }
  }

  @Test("no type is called after its being unclear")
  func plainNames() throws {
    let endings = ["Manager", "Helper", "Helpers", "Utils", "Utility", "Utilities", "Impl"]
    for file in try Repository.files(below: "Sources", ending: ".swift") {
      let name = file.name.dropLast(".swift".count)
      #expect(
        !endings.contains(where: name.hasSuffix), "\(file): say what it is in the field's own terms"
      )
    }
  }

  @Test("nothing is left over for later")
  func leftOvers() throws {
    // Put together here so that this file does not find itself.
    let words = ["TO" + "DO", "FIX" + "ME", "HA" + "CK"]
    let ending = [".swift", ".h", ".c", ".md", ".yml", ".yaml", ".json", ".py", ".sh", ".conf"]
    for folder in ["Sources", "Tests", "Docs", "Dashboards", "Deploy", "Streams", "Scripts"]
    where Repository.exists(folder) {
      for end in ending {
        for file in try Repository.files(below: folder, ending: end) {
          let found = Set(file.text.split { !($0.isLetter || $0 == "_") }.map(String.init))
            .intersection(words)
          #expect(found.isEmpty, "\(file) says \(found.joined(separator: ", ")): do it or drop it")
        }
      }
    }
  }

  @Test("no error is thrown away with a question mark")
  func droppedErrors() throws {
    for file in try Repository.files(below: "Sources", ending: ".swift") {
      for (index, line) in file.code.split(
        separator: "\n", omittingEmptySubsequences: false
      ).enumerated() {
        #expect(
          line.firstMatch(of: /\btry\?/) == nil,
          "\(file):\(index + 1) drops an error; handle it, or say in a typed result that it may fail"
        )
      }
    }
  }

  @Test("every unchecked Sendable says why it is safe")
  func uncheckedSendable() throws {
    for file in try Repository.files(below: "Sources", ending: ".swift") {
      let lines = file.lines
      for (index, line) in lines.enumerated()
      where line.contains("@unchecked Sendable") && !line.contains("//") {
        let before = lines[max(0, index - 12)..<index]
        #expect(
          before.contains { $0.contains("//") },
          "\(file):\(index + 1) has no reason beside it")
      }
    }
  }

  @Test("every test has a sentence for its name, and none sleeps")
  func testNames() throws {
    for file in try Repository.files(below: "Tests", ending: "Tests.swift") {
      let text = file.text.replacing(/\s+/, with: " ")
      // Put together here so that this file does not find itself.
      for part in text.split(separator: "@" + "Test").dropFirst() {
        let isNamed = part.hasPrefix("(\"") || part.hasPrefix("( \"")
        #expect(isNamed, "\(file): a test without a sentence: \(part.prefix(60))")
      }
      // A minute and more is a stand-in for something that hangs until it is cancelled.
      // `pg_sleep` runs in Postgres and stands for a statement that takes long.
      let sleeps = file.code.replacing("pg_sleep", with: "").matches(
        of:
          /\b(?:u|nano)?sleep\((?:for: \.(?:milli|micro|nano)seconds|for: \.seconds\(\d\d?\)|nanoseconds|\d)/
      )
      #expect(sleeps.isEmpty, "\(file) sleeps; wait for a condition with a deadline")
    }
  }
}
