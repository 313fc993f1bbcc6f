import FoundationEssentials
public import Dataflow
public import Events
public import Experiments
public import Learning

/// Everything that the folder `Streams/` declares, checked.
///
/// The folder is the only place of these values: the program has no defaults of its own.
public struct Definitions: Equatable, Sendable {
  public var streams: StreamDefinitions
  /// In order of the file; one of them is named `default`.
  public var pipelines: [PipelineSpec]
  public var mapping: EventMapping
  /// What the properties of events have to be.
  public var schemas: EventSchemas
  /// Nil where the folder has none: nobody is judged.
  public var bots: BotRules?
  /// Who is told of incidents; none where the folder has no file of them.
  public var webhooks: [WebhookDeclaration]
  /// In order of the file; none where there is no such file.
  public var experiments: [Experiment]
  /// In order of the file; none where there is no such file.
  public var decisions: [DecisionPlan]
  /// Profiles and segments; nil where the folder has none of them.
  public var profiles: ProfilePolicy?

  /// Whether the log gets an event where somebody enters or leaves a segment.
  public var announcesSegments: Bool {
    profiles?.segments.contains { $0.isAnnounced } ?? false
  }

  /// - Parameter folder: see ``DefinitionFolder/find(stated:executable:workingFolder:)``.
  /// - Throws: every problem of every file.
  public init(folder: String) throws(DefinitionsError) {
    let streams = DefinitionFile.read(
      folder: folder, name: StreamDefinitions.fileName, keys: StreamDefinitions.rootKeys
    ) { StreamDefinitions($0) }
    let hasBots = FileManager.default.fileExists(atPath: "\(folder)/\(BotDefinitions.fileName)")
    let bots =
      hasBots
      ? DefinitionFile.read(
        folder: folder, name: BotDefinitions.fileName, keys: BotDefinitions.rootKeys,
        BotDefinitions.read) : (value: nil, problems: [])
    let pipelines = DefinitionFile.read(
      folder: folder, name: PipelineDefinitions.fileName, keys: PipelineDefinitions.rootKeys
    ) { PipelineDefinitions.read($0, bots: bots.value) }
    let mapping = DefinitionFile.read(
      folder: folder, name: MappingDefinitions.fileName, keys: MappingDefinitions.rootKeys,
      MappingDefinitions.read)
    let schemas = SchemaDefinitions.read(folder: folder)
    let notifications = NotificationDefinitions.fileName
    let webhooks =
      FileManager.default.fileExists(atPath: "\(folder)/\(notifications)")
      ? DefinitionFile.read(
        folder: folder, name: notifications, keys: NotificationDefinitions.rootKeys,
        NotificationDefinitions.read) : (value: [], problems: [])
    let hasExperiments = FileManager.default.fileExists(
      atPath: "\(folder)/\(ExperimentDefinitions.fileName)")
    let experiments =
      hasExperiments
      ? DefinitionFile.read(
        folder: folder, name: ExperimentDefinitions.fileName,
        keys: ExperimentDefinitions.rootKeys, ExperimentDefinitions.read)
      : (value: [], problems: [])
    let hasDecisions = FileManager.default.fileExists(
      atPath: "\(folder)/\(DecisionDefinitions.fileName)")
    let decisions =
      hasDecisions
      ? DefinitionFile.read(
        folder: folder, name: DecisionDefinitions.fileName, keys: DecisionDefinitions.rootKeys,
        DecisionDefinitions.read)
      : (value: [], problems: [])
    let hasProfiles = FileManager.default.fileExists(
      atPath: "\(folder)/\(SegmentFile.fileName)")
    let profiles =
      hasProfiles
      ? DefinitionFile.read(
        folder: folder, name: SegmentFile.fileName, keys: SegmentFile.rootKeys, SegmentFile.read)
      : (value: nil, problems: [])
    let problems =
      streams.problems + pipelines.problems + mapping.problems + schemas.problems + bots.problems
      + webhooks.problems + experiments.problems + decisions.problems + profiles.problems
    guard let streams = streams.value, let pipelines = pipelines.value, let mapping = mapping.value,
      let schemas = schemas.value, let webhooks = webhooks.value,
      let experiments = experiments.value, let decisions = decisions.value,
      !hasBots || bots.value != nil,
      !hasProfiles || profiles.value != nil
    else { throw DefinitionsError(problems: problems) }
    self.streams = streams
    self.streams.declarePartials(of: pipelines)
    self.pipelines = pipelines
    self.mapping = mapping
    self.schemas = schemas
    self.bots = bots.value
    self.webhooks = webhooks
    self.experiments = experiments
    self.decisions = decisions
    self.profiles = profiles.value
  }

  /// - Returns: every problem of every file; empty where the folder can be used.
  public static func check(folder: String) -> [Problem] {
    do throws(DefinitionsError) {
      _ = try Definitions(folder: folder)
      return []
    } catch {
      return error.problems
    }
  }

  public func pipeline(_ name: String) -> PipelineSpec? { pipelines.first { $0.name == name } }
}
