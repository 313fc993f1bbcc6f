import Dataflow
import Events
import Testing
import Views

@testable import Definitions

@Suite("Definitions of the repository")
struct DefinitionsTests {
  @Test("the repository's own folder has no problem")
  func repositoryIsClean() {
    #expect(Definitions.check(folder: Fixture.original) == [])
  }

  @Test(
    "four partitions of generation 1, the dead letters, the facts and one stream between stages are declared"
  )
  func streams() throws {
    let streams = try Definitions(folder: Fixture.original).streams
    #expect(
      streams.all.map(\.name)
        == [
          "events-00", "events-01", "events-02", "events-03", "dead-letters", "facts",
          "partials-default-v1",
        ])
    #expect(
      streams.all.map(\.subjects)
        == streams.all.map { [$0.name == "facts" ? "facts.>" : $0.name] })
    #expect(streams.generation == 1)
    #expect(
      streams.streamPartitions.map(\.partition) == [0, 1, 2, 3, -1]
        && streams.streamPartitions[4].role == .deadLetters)
    #expect(streams.events.allSatisfy { $0.bytesMax == 4 << 30 && $0.discard == "new" })
  }

  @Test("the default pipeline takes events of any age, the recent one those of the last hour")
  func pipelines() throws {
    let definitions = try Definitions(folder: Fixture.original)
    #expect(definitions.pipelines.map(\.name) == ["default", "recent"])
    #expect(
      definitions.pipeline("default")
        == PipelineSpec(
          name: "default", persons: PersonPolicy(experiments: ExperimentPolicy()),
          trends: TrendPolicy(), anomalies: IncidentPolicy()))
    #expect(
      definitions.pipeline("recent")
        == PipelineSpec(name: "recent", allowedLateness: 3_600_000_000))
    #expect(definitions.pipeline("other") == nil)
  }

  @Test("each pipeline with a second stage has a stream of partials, by name and version")
  func partials() throws {
    let fixture = try Fixture()
    var text = try fixture.text("pipelines.yaml")
    text = text.replacing("version: 1", with: "version: 3")
    text += "    trends: {window: 1m, slide: 1s, retention: 2m}\n"
    try fixture.write("pipelines.yaml", text)
    let definitions = try Definitions(folder: fixture.folder)
    let recent = try #require(definitions.pipeline("recent"))
    #expect(recent.persons == nil && recent.hasSecondStage)
    #expect(
      recent.trends == TrendPolicy(size: 60_000_000, slide: 1_000_000, retention: 120_000_000))
    let streams = definitions.streams.partials
    #expect(streams.map(\.name) == ["partials-default-v3", "partials-recent-v3"])
    #expect(streams.map(\.name) == definitions.pipelines.map(\.partialsStream))
    #expect(streams.allSatisfy { $0.bytesMax == 2 << 30 && $0.discard == "new" })
    #expect(streams.map(\.metadata["smartcontent.pipeline"]) == ["default_3", "recent_3"])
    #expect(StreamPartition.partials(of: recent).role == .partials)
  }

  @Test(
    "events map to kinds as the contract says",
    arguments: [
      ("Content Impression", EventKind.impression), ("Content Viewed", .view),
      ("Content Clicked", .click), ("Content Engaged", .engagement),
      ("Order Completed", .conversion), ("Conversion", .conversion),
      ("Promotion Viewed", .impression), ("Promotion Clicked", .click),
      ("Email Opened", .impression),
      ("Email Link Clicked", .click), ("Article Viewed", .view), ("Link Clicked", .click),
    ])
  func mapping(name: String, kind: EventKind) throws {
    let mapping = try Definitions(folder: Fixture.original).mapping
    #expect(mapping.names[name] == kind)
    #expect(mapping.calls["page"] == .view && mapping.calls["identify"] == .identify)
    #expect(mapping.otherwise == .custom)
    #expect(
      mapping.properties == [
        .campaign: [
          "campaign_id", "campaignId", "campaign", "campaign_name", "promotion_id", "experiment_id",
          "$feature_flag",
        ],
        .content: ["content_id", "contentId"],
        .variant: [
          "variant_id", "variantId", "variation_id", "variation_name", "$feature_flag_response",
        ],
        .channel: ["channel"],
      ])
    #expect(mapping.revenue == ["revenue", "value"] && mapping.currency == ["currency"])
    #expect(mapping.defaultCurrency == "USD")
  }

  @Test("streams shrink in proportion to fit a small server, and keep their size on a big one")
  func fitting() throws {
    let streams = try Definitions(folder: Fixture.original).streams
    #expect(streams.fitted(toStoreBytes: 100 << 30) == streams)
    let small = streams.fitted(toStoreBytes: 10 << 30)
    let total = small.all.reduce(0) { $0 + $1.bytesMax }
    #expect(total <= 9 << 30 && total > 8 << 30)
    #expect(small.events[0].bytesMax / small.deadLetters.bytesMax == 4)
    #expect(small.all.allSatisfy { $0.bytesMax >= $0.messageBytesMax })
  }

  @Test("the folder is found where it is stated, else beside the program")
  func finding() throws {
    let fixture = try Fixture()
    let folder = fixture.folder
    #expect(try DefinitionFolder.find(stated: folder, executable: "/bin/x") == folder)
    let parent = String(Fixture.original.dropLast("/Streams".count))
    #expect(
      try DefinitionFolder.find(
        stated: nil, executable: parent + "/smartcontent", workingFolder: "/nonexistent")
        == Fixture.original)
    #expect(
      DefinitionFolder.candidates(executable: "/usr/bin/smartcontent", in: ".")
        == ["Streams", "/usr/bin/Streams", "/usr/bin/../share/smartcontent/Streams"])
    let problem = #expect(throws: Problem.self) {
      try DefinitionFolder.find(stated: "/nonexistent", executable: "/bin/x")
    }
    #expect(problem?.description.contains("--streams") == true)
  }
}
