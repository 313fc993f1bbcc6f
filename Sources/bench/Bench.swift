import ArgumentParser

/// Benchmarks: each prints a table of figures, and with `--json` ends with one JSON object of them.
@main
struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure the speed of SmartContent on this machine, with servers of its own.",
    subcommands: [
      EngineBench.self, IngestBench.self, PixelBench.self, JSONBench.self, FreshnessBench.self,
      MemoryBench.self,
      YSBBench.self, HoppingBench.self, SessionBench.self,
      ConnectionsBench.self, FlatBench.self, LatencyBench.self, RebuildBench.self,
      RestartBench.self, AnomalyBench.self, ContextualBench.self, ExperimentBench.self,
      ScanBench.self, DecideBench.self, QueryBench.self,
    ])
}

struct ReportOptions: ParsableArguments {
  @Flag(help: "End with one JSON object of the figures.")
  var json = false

  @Option(help: "Folder for the servers' data; removed at the end.")
  var home = "/tmp/smartcontent-bench"
}

/// Figures with names and units, in the order in which they were measured.
struct Report {
  private var figures: [(name: String, value: Double, unit: String, goal: String)] = []
  private let title: String

  init(_ title: String) { self.title = title }

  mutating func add(_ name: String, _ value: Double, _ unit: String, goal: String = "") {
    figures.append((name, value, unit, goal))
  }

  func print(json: Bool) {
    Swift.print("\n\(title)")
    for figure in figures {
      let name = figure.name.padding(34)
      let value = Self.text(figure.value)
      let space = String(repeating: " ", count: max(1, 14 - value.count))
      Swift.print(
        "  \(name)\(space)\(value) \(figure.unit.padding(10))"
          + (figure.goal.isEmpty ? "" : " goal \(figure.goal)"))
    }
    guard json else { return }
    let members = figures.map { "\"\($0.name)\":\(Self.number($0.value))" }
    Swift.print("{" + members.joined(separator: ",") + "}")
  }

  private static func text(_ value: Double) -> String {
    if value >= 1000 {
      var digits = String(Int(value.rounded()))
      var groups: [String] = []
      while digits.count > 3 {
        groups.insert(String(digits.suffix(3)), at: 0)
        digits.removeLast(3)
      }
      return ([digits] + groups).joined(separator: ",")
    }
    return number(value)
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15
      ? String(Int(value)) : String((value * 1000).rounded() / 1000)
  }
}

extension String {
  fileprivate func padding(_ width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }
}

struct BenchError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
