from router.cli.start import main

main()
