import Events
import Testing
import Views

@testable import QueryAPI

@Suite struct BusinessMetricsTests {
  @Test("The campaigns that are not named are one row, whatever money they made")
  func others() {
    let rows = (0..<60).map { index in
      QueryAnswer.Row(
        bucketStart: nil, dimensions: DimensionValues(["c\(index)"]),
        sums: MeasuredSums(
          activity: Counts(
            impressions: 1, views: 0, clicks: 0, engagements: 0, conversions: 1,
            revenueMicros: .max / 2)),
        revenue: [QueryAnswer.Money(currency: "EUR", micros: .max / 2)])
    }
    let named = BusinessMetrics.bounded(rows)
    #expect(named.count < rows.count)
    let other = named.last
    #expect(other?.dimensions == DimensionValues(["(other)"]))
    #expect(named.map(\.counts.impressions).reduce(0, +) == 60)
    #expect(other?.revenue == [QueryAnswer.Money(currency: "EUR", micros: .max)])
  }
}
