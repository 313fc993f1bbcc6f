import ArgumentParser
import Foundation

/// Where a detector's scores go, for a scorer elsewhere.
struct ScoreOutput: ParsableArguments {
  @Option(help: "Write the scores to this file: JSON, a list by the name of each series.")
  var scores: String?

  func write(_ scores: [String: [Double]]) throws {
    guard let path = self.scores else { return }
    let json = try JSONSerialization.data(withJSONObject: scores)
    try json.write(to: URL(fileURLWithPath: path))
  }
}
