#!/usr/bin/env bash
# Tools of the target jvm in $1: a Kotlin compiler, a JDK, and what checks an Android app without its
# SDK: aapt with the framework's resources, and Android's own classes at API level 23.
source "$(dirname "$0")/../packages.sh"
kotlin=2.4.20

needed=()
command -v javac >/dev/null || needed+=(openjdk-17-jdk-headless)
command -v npm >/dev/null || needed+=(npm)
command -v aapt >/dev/null || needed+=(aapt)
[ -f /usr/share/android-framework-res/framework-res.apk ] || needed+=(android-framework-res)
command -v adb >/dev/null || needed+=(adb)
install "${needed[@]}"

if [ ! -x "$tools/kotlin-$kotlin/bin/kotlinc" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$work" && npm pack --silent "kotlin-compiler@$kotlin") || missing "npm pack kotlin-compiler@$kotlin failed"
    mkdir "$work/kotlin"
    tar -xzf "$work/kotlin-compiler-$kotlin.tgz" -C "$work/kotlin" --strip-components 1
    chmod +x "$work/kotlin/bin/kotlinc"
    mv "$work/kotlin" "$tools/kotlin-$kotlin"
fi
ln -sfn "kotlin-$kotlin" "$tools/kotlin"

# Android's classes are in Debian's unstable alone; lists and state of their own, so that the
# system's are as they were.
if [ ! -f "$tools/android-23.jar" ]; then
    apt=$tools/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    targets() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main'; }
    mirror=$(targets | sort | uniq -c | sort -rn | awk 'NR == 1 {print $2}')
    [ -n "$mirror" ] || missing "apt knows no mirror of Debian (apt-get update)"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keys] $mirror sid main" >"$apt/sources.list"
    options=(-q "-oDir::Etc::sourcelist=$apt/sources.list" -oDir::Etc::sourceparts=-
        "-oDir::State::Lists=$apt/lists" "-oDir::Cache=$apt/cache" -oDir::State::status=/dev/null
        -oAcquire::Languages=none -oAcquire::PDiffs=false -oAPT::Sandbox::User=root)
    apt-get "${options[@]}" update || missing "apt-get update of Debian's unstable failed"
    (cd "$apt" && apt-get "${options[@]}" download libandroid-23-java) ||
        missing "Debian's unstable has no libandroid-23-java any more (Android's classes)"
    dpkg -x "$apt"/libandroid-23-java_*.deb "$apt/tree"
    cp "$apt/tree/usr/share/java/com.android.android-23.jar" "$tools/android-23.jar"
    rm -rf "$apt"
fi
