/// Which values of a dimension count, compared byte by byte.
public struct BreakdownFilter: Hashable, Sendable {
  public enum Test: Hashable, Sendable {
    case isAnyOf, isNoneOf, contains
  }

  public var dimension: BreakdownDimension
  public var test: Test
  public var values: [[UInt8]]

  public init(_ dimension: BreakdownDimension, _ test: Test, _ values: [[UInt8]]) {
    self.dimension = dimension
    self.test = test
    self.values = values
  }

  func admits(_ value: [UInt8]) -> Bool { value.withUnsafeBytes(admits) }

  func admits(_ value: UnsafeRawBufferPointer) -> Bool {
    switch test {
    case .isAnyOf: values.contains { $0.elementsEqual(value) }
    case .isNoneOf: !values.contains { $0.elementsEqual(value) }
    case .contains:
      values.contains { part in
        part.isEmpty
          || value.count >= part.count
            && (0...value.count - part.count).contains { start in
              UnsafeRawBufferPointer(rebasing: value[start..<start + part.count]).elementsEqual(
                part)
            }
      }
    }
  }
}
