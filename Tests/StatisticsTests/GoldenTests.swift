import Foundation
import Testing

@testable import quality

/// The data folder beside the project.
enum SharedData {
  static let absent: Comment = "SKIPPED: the folder shared/data is not beside the project"

  static let folder: String? = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let path = root.deletingLastPathComponent().appendingPathComponent("shared/data").path
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }()
}

/// Figures of GrowthBook's gbstats and of confseq, each with its inputs, read from every file of golden
/// numbers beside the project.
@Suite("Golden A/B figures", .enabled(if: SharedData.folder != nil, SharedData.absent))
struct GoldenTests {
  @Test("every figure is ours to 1e-6, or to the digits in which it was given")
  func figures() throws {
    var checked = 0
    var unknown: Set<String> = []
    for entry in try GoldenEntry.all(in: DataFolder(try #require(SharedData.folder))) {
      guard let figures = try GoldenFigures.compute(entry) else {
        unknown.insert(entry.kind)
        continue
      }
      checked += 1
      #expect(figures.count == entry.expected.count, "\(entry.kind)")
      for (index, figure) in figures.enumerated() where index < entry.expected.count {
        #expect(
          entry.agrees(figure, at: index),
          "\(entry.kind) \(entry.input): \(figure), expected \(entry.expected[index])")
      }
    }
    #expect(checked >= 190)
    // A bound of quantiles, which the project has no use for.
    #expect(unknown.isSubset(of: ["double_stitching_bound"]), "\(unknown)")
  }
}
