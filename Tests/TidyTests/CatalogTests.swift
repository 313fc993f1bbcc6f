import Testing

/// What is added as one file and one line must have both.
@Suite("Catalogs")
struct CatalogTests {
  @Test("each ingest protocol is in the catalog of protocols")
  func protocols() throws {
    let files = try Repository.files(below: "Sources/Collector", ending: ".swift")
    let catalog = try Repository.read("Sources/Collector/IngestProtocol.swift").text
    let declaring = files.filter { $0.text.contains("static let declaration = IngestProtocol(") }
    #expect(!declaring.isEmpty)
    for file in declaring {
      let name = file.name.dropLast(".swift".count)
      #expect(
        catalog.contains("\(name).declaration,"), "\(file) has no line in ProtocolCatalog.all")
    }
  }

  @Test("each operator that is in snapshots is in the catalog of the operators' laws")
  func operators() throws {
    let catalog = try Repository.read("Tests/OperatorsTests/Laws/OperatorCatalog.swift").text
    var names: Set<String> = []
    for file in try Repository.files(below: "Sources/Operators", ending: ".swift")
    where file.text.contains("static let sectionID") || file.text.contains("static var sectionID") {
      let declared = try #require(
        file.text.firstMatch(of: /(?m)^(?:public struct (\w+): ~Copyable|extension (\w+))/),
        "\(file)")
      names.insert(String(declared.1 ?? declared.2 ?? ""))
    }
    #expect(names.count >= 8)
    for name in names {
      #expect(catalog.contains("Entry(\"\(name)\","), "\(name) has no line in OperatorCatalog.all")
    }
  }

  @Test("each metric is in the catalog of its role, and its name is there once")
  func metrics() throws {
    var names: [String: String] = [:]
    for file in try Repository.files(below: "Sources", ending: "Metrics.swift") {
      let declaration = /let (\w+)(?:: MetricDeclaration)? = MetricDeclaration\(\s*"(\w+)"/
      let declared = file.text.matches(of: declaration)
      guard !declared.isEmpty else { continue }
      guard
        let catalog = file.text.firstMatch(
          of: /static let (?:catalog|all)(?:: \[MetricDeclaration\])? = \[([^\]]*)\]/)
      else {
        Issue.record("\(file) declares metrics but has no catalog of them")
        continue
      }
      let listed = Set(
        catalog.1.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init))
      for match in declared {
        #expect(listed.contains(String(match.1)), "\(file): \(match.1) is not in its catalog")
        let other = names.updateValue(file.path, forKey: String(match.2))
        #expect(other == nil, "\(match.2) is declared in \(other ?? "") and in \(file)")
      }
    }
    #expect(names.count > 20)
  }

  @Test("every metric of a dashboard, an alert or its test is declared in the code")
  func dashboards() throws {
    var declared: Set<String> = []
    // Names that are put together, such as smartcontent_campaign_\(name)_total.
    var patterns: [Regex<Substring>] = []
    for file in try Repository.files(below: "Sources", ending: ".swift") {
      for match in file.text.matches(of: /"(smartcontent_[^"]+)"/) {
        let name = String(match.1)
        if name.contains("\\(") {
          patterns.append(
            try Regex(name.replacing(/\\\(\w+\)/, with: "[a-z]+"), as: Substring.self))
        } else {
          declared.insert(name)
        }
      }
    }
    func isDeclared(_ name: String) -> Bool {
      declared.contains(name) || patterns.contains { name.wholeMatch(of: $0) != nil }
    }
    let files = try Repository.files(below: "Dashboards", ending: ".json", ".yml", ".yaml")
    let recorded = Set(
      files.flatMap { $0.text.matches(of: /record: (\S+)/).map { String($0.1) } })
    for file in files {
      // Recorded ones have colons: level:metric:operation.
      for match in file.text.matches(of: /[a-z0-9_]*:?smartcontent\w*:[a-z0-9_:]+/) {
        #expect(
          recorded.contains(String(match.0)), "\(file) uses \(match.0), which no rule records")
      }
      let rest = file.text.replacing(/[a-z0-9_]*:?smartcontent\w*:[a-z0-9_:]+/, with: "")
      for match in rest.matches(of: /\bsmartcontent_[a-z0-9_]+/) {
        let name = String(match.0)
        let base = name.replacing(/_(bucket|sum|count)$/, with: "")
        #expect(
          isDeclared(name) || isDeclared(base),
          "\(file) uses \(name), which no module declares")
      }
    }
  }

  @Test("the code map names every module, and documents point only to files that exist")
  func documents() throws {
    let map = try Repository.read("Docs/codemap.md").text
    for module in try Repository.folders(in: "Sources") {
      #expect(map.contains("`\(module)`"), "Docs/codemap.md does not name `\(module)`")
    }
    var documents = try Repository.files(below: "Docs", ending: ".md")
    if Repository.exists("README.md") { documents.append(try Repository.read("README.md")) }
    for file in documents {
      for match in file.text.matches(of: /\]\(([^)#\s]+)[^)]*\)/) {
        let target = String(match.1)
        guard !target.contains("://"), !target.hasPrefix("mailto:") else { continue }
        let path = file.folder.isEmpty ? target : "\(file.folder)/\(target)"
        #expect(Repository.exists(path), "\(file) points to \(target), which does not exist")
      }
    }
  }
}
