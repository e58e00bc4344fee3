plugins {
  alias(libs.plugins.android.application)
  alias(libs.plugins.kotlin.android)
}

android {
  namespace = "org.fastscnn.app"
  compileSdk = 36

  defaultConfig {
    applicationId = "org.fastscnn.app"
    minSdk = 24
    targetSdk = 36
    versionCode = 1
    versionName = "0.1.0"
  }

  // LiteRT 2.x and 1.4.x are one Maven package: an app holds one of them.
  flavorDimensions += "runtime"
  productFlavors {
    create("compiled") { dimension = "runtime" }
    create("classic") {
      dimension = "runtime"
      applicationIdSuffix = ".classic"
    }
  }

  compileOptions {
    sourceCompatibility = JavaVersion.VERSION_17
    targetCompatibility = JavaVersion.VERSION_17
  }

  buildFeatures { buildConfig = false }

  // Models are mapped from the APK as they lie there.
  androidResources { noCompress += "tflite" }
}

kotlin {
  compilerOptions { jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_17 }
}

dependencies {
  implementation(project(":core"))
  implementation(libs.androidx.activity)
  implementation(libs.androidx.core)
  implementation(libs.camera.core)
  implementation(libs.camera.camera2)
  implementation(libs.camera.lifecycle)
  implementation(libs.camera.view)
  "compiledImplementation"(libs.litert.compiled)
  "compiledImplementation"(libs.litert.compiled.gpu) // from 2.3.0 on the GPU is a package of its own
  "classicImplementation"(libs.litert.classic)
  "classicImplementation"(libs.litert.classic.gpu)
}

// The models that the repository ships, and any that lie in models/ here, become assets; none is
// in the repository twice.
abstract class CollectModels : DefaultTask() {
  @get:InputFiles abstract val models: ConfigurableFileCollection

  @get:OutputDirectory abstract val folder: DirectoryProperty

  @get:javax.inject.Inject abstract val files: FileSystemOperations

  @TaskAction
  fun collect() {
    if (models.none { it.name.endsWith(".tflite") }) {
      throw GradleException("no .tflite for the app: put one into tflite/android/models/")
    }
    files.sync {
      from(models)
      into(folder)
    }
  }
}

val collectModels =
  tasks.register<CollectModels>("collectModels") {
    val folders = listOf(rootProject.file(".."), rootProject.file("models"))
    models.from(
      provider {
        val files = folders.flatMap { it.listFiles().orEmpty().toList() }
        files.filter { it.name.endsWith(".tflite") || it.name.contains(".tflite.") }
      }
    )
  }

androidComponents {
  onVariants { variant ->
    variant.sources.assets?.addGeneratedSourceDirectory(collectModels, CollectModels::folder)
  }
}
